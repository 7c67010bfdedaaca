#include "api/requests/answer_model_rewriter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::api {
namespace {

using Form = AnswerModelRewriter::Form;

std::string rewritten(Form form, const std::vector<std::string_view>& chunks, std::string_view model = "asked") {
  AnswerModelRewriter rewriter{form, model};
  std::string out;
  std::string scratch;
  for (const std::string_view chunk : chunks) out += rewriter.rewrite(chunk, scratch);
  return out;
}

struct Case {
  const char* name;
  Form form;
  std::string answer;
  std::string expected;
};

std::vector<Case> cases() {
  return {
      {"at the top", Form::kJson, R"({"id":"1","model":"m","x":[1]})", R"({"id":"1","model":"asked","x":[1]})"},
      {"with white space", Form::kJson, "{ \"model\" :\n\t\"m\\\"n\" , \"a\": 1.5e3 }",
       "{ \"model\" :\n\t\"asked\" , \"a\": 1.5e3 }"},
      {"an empty name", Form::kJson, R"({"model":""})", R"({"model":"asked"})"},
      {"in a response, once", Form::kJson, R"({"type":"t","response":{"a":{"model":"x"},"model":"m"},"model":"m"})",
       R"({"type":"t","response":{"a":{"model":"x"},"model":"asked"},"model":"m"})"},
      {"in a message", Form::kJson, R"({"message":{"model":"m","content":[{"model":"x"}]}})",
       R"({"message":{"model":"asked","content":[{"model":"x"}]}})"},
      {"nowhere else", Form::kJson,
       R"({"choices":[{"message":{"model":"x"}}],"error":{"model":"x"},"a":{"response":{"model":"x"}}})",
       R"({"choices":[{"message":{"model":"x"}}],"error":{"model":"x"},"a":{"response":{"model":"x"}}})"},
      {"not two levels in", Form::kJson, R"({"response":{"message":{"model":"x"},"response":{"model":"x"}}})",
       R"({"response":{"message":{"model":"x"},"response":{"model":"x"}}})"},
      {"not in strings", Form::kJson,
       R"({"text":"{\"model\":\"x\"}","message":"\"model\":\"x\"","a":"\\","b":"model"})",
       R"({"text":"{\"model\":\"x\"}","message":"\"model\":\"x\"","a":"\\","b":"model"})"},
      {"not where it is no string", Form::kJson,
       R"({"model":null,"a":"x","model":7,"b":"x","model":["x"],"model":{"model":"x"}})",
       R"({"model":null,"a":"x","model":7,"b":"x","model":["x"],"model":{"model":"x"}})"},
      {"not keys that begin so", Form::kJson,
       R"({"models":"x","mode":"x","Model":"x","model_id":"x","modelmodel":"x"})",
       R"({"models":"x","mode":"x","Model":"x","model_id":"x","modelmodel":"x"})"},
      {"not in a list", Form::kJson, R"([{"model":"x"}])", R"([{"model":"x"}])"},
      {"no JSON", Form::kJson, R"(upstream "model": "x" failed }]{ )", R"(upstream "model": "x" failed }]{ )"},
      {"nothing", Form::kJson, "", ""},
      {"in each event", Form::kEvents,
       "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"\\\"model\\\":\\\"m\\\"\"}}]}\n\n"
       "data:{\"model\": \"m\"}\r\n\r\ndata: [DONE]\n\n",
       "data: {\"model\":\"asked\",\"choices\":[{\"delta\":{\"content\":\"\\\"model\\\":\\\"m\\\"\"}}]}\n\n"
       "data:{\"model\": \"asked\"}\r\n\r\ndata: [DONE]\n\n"},
      {"only in data", Form::kEvents,
       "event: message_start\nid: {\"model\":\"x\"}\n: {\"model\":\"x\"}\ndat: {\"model\":\"x\"}\n"
       "data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n",
       "event: message_start\nid: {\"model\":\"x\"}\n: {\"model\":\"x\"}\ndat: {\"model\":\"x\"}\n"
       "data: {\"type\":\"message_start\",\"message\":{\"model\":\"asked\"}}\n\n"},
      {"in data of several lines", Form::kEvents, "data: {\"a\":[1,\ndata: 2],\ndata: \"model\":\ndata: \"m\"}\n\n",
       "data: {\"a\":[1,\ndata: 2],\ndata: \"model\":\ndata: \"asked\"}\n\n"},
      {"once in data of several lines", Form::kEvents,
       "data: {\"model\":\"m\",\ndata: \"message\":\ndata: {\"model\":\"x\"}}\n\ndata: {\"model\":\"m\"}\n\n",
       "data: {\"model\":\"asked\",\ndata: \"message\":\ndata: {\"model\":\"x\"}}\n\ndata: {\"model\":\"asked\"}\n\n"},
      {"after an event that breaks off", Form::kEvents,
       "data: {\"a\":{\"b\":\"x\n\ndata: {\"model\":\"m\"}\n\ndata: {\"model\":\"m\n\ndata: {\"model\":\"m\"}\n\n",
       "data: {\"a\":{\"b\":\"x\n\ndata: {\"model\":\"asked\"}\n\ndata: {\"model\":\"asked\"\n\n"
       "data: {\"model\":\"asked\"}\n\n"},
  };
}

TEST(AnswerModelRewriter, ReplacesTheNameAndNothingElse) {
  for (const Case& item : cases()) {
    EXPECT_EQ(rewritten(item.form, {item.answer}), item.expected) << item.name;
  }
}

TEST(AnswerModelRewriter, GivesTheSameWhereverTheAnswerIsCut) {
  for (const Case& item : cases()) {
    const std::string_view answer = item.answer;
    for (std::size_t first = 0; first <= answer.size(); ++first) {
      ASSERT_EQ(rewritten(item.form, {answer.substr(0, first), answer.substr(first)}), item.expected)
          << item.name << ", cut at " << first;
      for (std::size_t second = first; second <= answer.size(); second += 3) {
        ASSERT_EQ(rewritten(item.form,
                            {answer.substr(0, first), answer.substr(first, second - first), answer.substr(second)}),
                  item.expected)
            << item.name << ", cut at " << first << " and " << second;
      }
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < answer.size(); ++i) bytes.push_back(answer.substr(i, 1));
    EXPECT_EQ(rewritten(item.form, bytes), item.expected) << item.name << ", byte by byte";
  }
}

TEST(AnswerModelRewriter, WritesAnyNameAsJson) {
  EXPECT_EQ(rewritten(Form::kJson, {R"({"model":"m"})"}, "a\"b\\c\n"), R"({"model":"a\"b\\c\n"})");
  EXPECT_EQ(rewritten(Form::kJson, {R"({"model":"m"})"}, ""), R"({"model":""})");
}

TEST(AnswerModelRewriter, ReturnsTheChunkItselfIfNothingIsReplaced) {
  AnswerModelRewriter rewriter{Form::kJson, "asked"};
  std::string scratch = "kept";
  const std::string_view chunk = R"({"id":"1","choices":[{"text":"a"}],)";
  EXPECT_EQ(rewriter.rewrite(chunk, scratch).data(), chunk.data());
  EXPECT_EQ(scratch, "kept");
}

/// A value, appended to the answer and to what is expected of it; models are named m in the one, asked in the other.
class RandomJson {
 public:
  explicit RandomJson(Rng& rng) : rng_{rng} {}

  void object(int level, bool watched) {
    put("{");
    for (std::size_t i = rng_.below(5); i > 0; --i) {
      const std::string_view names[] = {"model", "response", "message", "a", "model\\u0020", "mod\\\"el", ""};
      const std::size_t name = rng_.below(std::size(names));
      put("\"").put(names[name]).put("\"").blank().put(":").blank();
      if (name == 0 && watched && rng_.chance(0.2)) {
        put("null");
      } else if (name == 0 && watched) {
        answer += R"("m\"m")";
        expected += renamed_ ? R"("m\"m")" : R"("asked")";
        renamed_ = true;
      } else {
        value(level + 1, watched && level == 0 && (name == 1 || name == 2));
      }
      blank();
      if (i > 1) put(",").blank();
    }
    put("}");
  }

  std::string answer;
  std::string expected;

 private:
  RandomJson& put(std::string_view text) {
    answer += text;
    expected += text;
    return *this;
  }
  RandomJson& blank() { return rng_.chance(0.3) ? put(" ") : *this; }

  void value(int level, bool inner) {
    const std::string_view scalars[] = {"1.5", "null", "true", R"("\"model\":\"x\"")", R"("\\")", R"("{[")", "\"\""};
    switch (level < 4 ? rng_.below(4) : 3) {
      case 0: object(level, inner); break;
      case 1:
        put("[");
        value(level + 1, false);
        put(",");
        value(level + 1, false);
        put("]");
        break;
      default: put(scalars[rng_.below(std::size(scalars))]);
    }
  }

  Rng& rng_;
  bool renamed_ = false;  // the first name only
};

TEST(AnswerModelRewriter, AgreesWithAnswersMadeWithBothNames) {
  Rng rng{17};
  for (int round = 0; round < 3'000; ++round) {
    const Form form = rng.chance(0.5) ? Form::kJson : Form::kEvents;
    std::string answer;
    std::string expected;
    for (std::size_t events = form == Form::kEvents ? 1 + rng.below(3) : 1; events > 0; --events) {
      RandomJson json{rng};
      json.object(0, true);
      const std::string_view before = form == Form::kEvents ? "event: x\ndata: " : "";
      const std::string_view after = form == Form::kEvents ? "\n\n" : "";
      answer.append(before).append(json.answer).append(after);
      expected.append(before).append(json.expected).append(after);
    }
    std::vector<std::string_view> chunks;
    std::string_view rest = answer;
    while (!rest.empty()) {
      const std::size_t size = 1 + rng.below(rest.size());
      chunks.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    ASSERT_EQ(rewritten(form, chunks), expected) << answer;
  }
}

}  // namespace
}  // namespace llmd::api
