#include <gtest/gtest.h>

#include <set>
#include <string>

#include "apps/sidecar/cached_tokens.h"
#include "apps/sidecar/chunks.h"
#include "apps/sidecar/mooncake_directory.h"

namespace llmd::sidecar {
namespace {

TEST(CachedTokens, ReplaceOnlyTheCount) {
  const struct {
    const char* json;
    const char* expected;
  } cases[] = {
      {R"({"usage":{"prompt_tokens_details":{"cached_tokens":1,"x":9007199254740993}}})",
       R"({"usage":{"prompt_tokens_details":{"cached_tokens":7,"x":9007199254740993}}})"},
      {R"({"usage":{"prompt_tokens_details":{}}})", R"({"usage":{"prompt_tokens_details":{"cached_tokens":7}}})"},
      {R"({"usage":{"prompt_tokens_details":null}})", R"({"usage":{"prompt_tokens_details":{"cached_tokens":7}}})"},
      {R"({"usage":{"a":1}, "b":2})", R"({"usage":{"a":1,"prompt_tokens_details":{"cached_tokens":7}}, "b":2})"},
      {R"({"usage":null})", R"({"usage":null})"},
      {R"({"a":"\"usage\""})", R"({"a":"\"usage\""})"},
      {R"({"a":1})", R"({"a":1})"},
      {"no \"usage\" here", "no \"usage\" here"},
      {"", ""},
  };
  for (const auto& item : cases) EXPECT_EQ(with_cached_tokens(item.json, 7), item.expected);
}

TEST(CachedTokens, AreReadFromThePrefillAnswer) {
  const struct {
    std::string json;
    std::uint32_t expected;
  } cases[] = {{R"({"usage":{"prompt_tokens_details":{"cached_tokens":5}}})", 5},
               {R"({"usage":{"prompt_tokens_details":null}})", 0},
               {R"({"usage":{"prompt_tokens_details":{"cached_tokens":"5"}}})", 0},
               {R"({"usage":7})", 0},
               {"[", 0}};
  for (auto item : cases) EXPECT_EQ(cached_tokens_of(item.json), item.expected) << item.json;
}

TEST(CachedTokensStream, IsTheSameHoweverItIsCut) {
  const std::string stream =
      "data: {\"choices\":[]}\r\n\r\ndata: {\"usage\":{\"prompt_tokens\":3}}\n\n: note\ndata: [DONE]\n\ndata: no end";
  const std::string expected =
      "data: {\"choices\":[]}\r\n\r\ndata: {\"usage\":{\"prompt_tokens\":3,\"prompt_tokens_details\":"
      "{\"cached_tokens\":7}}}\n\n: note\ndata: [DONE]\n\ndata: no end";
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    CachedTokensStream rewriter{7};
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += step) out += rewriter.feed(stream.substr(at, step));
    out += rewriter.finish();
    ASSERT_EQ(out, expected) << step;
  }
}

TEST(CachedTokensStream, LetsLinesThatAreTooLongPass) {
  std::string line = "data: {\"usage\":{},\"x\":\"";
  line.resize(CachedTokensStream::kLineBytesMax + 100, 'x');
  line += "\"}\n";
  CachedTokensStream rewriter{7};
  std::string out;
  for (std::size_t at = 0; at < line.size(); at += 100'000) out += rewriter.feed(line.substr(at, 100'000));
  EXPECT_EQ(out, line);
  EXPECT_EQ(rewriter.feed("data: {\"usage\":{}}\n"),
            "data: {\"usage\":{\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n");
}

std::string piece(const std::string& text, const std::string& reason, int tokens) {
  return R"({"id":"i","choices":[{"message":{"content":")" + text + R"("},"finish_reason":)" + reason +
         R"(}],"usage":{"prompt_tokens":2,"completion_tokens":)" + std::to_string(tokens) + "}}";
}

TEST(Chunks, ArePlannedWhereTextTellsAll) {
  const struct {
    const char* name;
    std::string body;
    bool chunked;
  } cases[] = {
      {"long", R"({"messages":[],"max_tokens":9})", true},
      {"no limit", R"({"messages":[]})", true},
      {"fits", R"({"messages":[],"max_tokens":5})", false},
      {"the newer name goes first", R"({"messages":[],"max_tokens":5,"max_completion_tokens":9})", true},
      {"tools", R"({"messages":[],"tools":[{}]})", false},
      {"no tools", R"({"messages":[],"tools":[],"n":1,"logprobs":false})", true},
      {"two", R"({"messages":[],"n":2})", false},
      {"grammar", R"({"messages":[],"guided_regex":"a"})", false},
      {"continues", R"({"messages":[],"continue_final_message":true})", false},
      {"no chat", R"({"prompt":"x"})", false},
  };
  for (auto item : cases) {
    const auto plan = plan_chunks(item.body, 5);
    ASSERT_TRUE(plan) << item.name;
    EXPECT_EQ(plan->has_value(), item.chunked) << item.name;
  }
  std::string broken = "{";
  EXPECT_FALSE(plan_chunks(broken, 5));
}

TEST(Chunks, EndWithTheBudgetOrWithNothing) {
  const std::string body = R"({"messages":[{"role":"user"}],"max_tokens":9})";
  ChunkedAnswer answer{body, {.chunk_tokens = 5, .tokens_max = 9}};
  EXPECT_NE(answer.next_request()->find("\"max_tokens\":5"), std::string::npos);
  ASSERT_TRUE(answer.take(piece("a", "\"length\"", 5)));
  EXPECT_FALSE(answer.complete());
  EXPECT_NE(answer.next_request()->find("\"max_tokens\":4"), std::string::npos);
  ASSERT_TRUE(answer.take(piece("b", "\"length\"", 4)));
  EXPECT_TRUE(answer.complete());
  EXPECT_NE(answer.whole()->find(R"("content":"ab")"), std::string::npos) << *answer.whole();
  ChunkedAnswer silent{body, {.chunk_tokens = 5}};
  ASSERT_TRUE(silent.take(piece("", "\"length\"", 0)));
  EXPECT_TRUE(silent.complete());
}

TEST(Chunks, RefuseAnswersThatAreNone) {
  ChunkedAnswer answer{"{}", {.chunk_tokens = 5}};
  for (const char* bad : {"", "[]", "{}", R"({"choices":[]})"}) EXPECT_FALSE(answer.take(bad)) << bad;
  EXPECT_EQ(answer.take(R"({"choices":[{"message":{"tool_calls":[{}]}}]})").error().code, ErrorCode::kUnsupported);
}

TEST(Mooncake, ReadsEveryRank) {
  const auto ranks = read_mooncake_ranks(R"({"0":{"engine_id":"a\"b","x":[]},"1":{"engine_id":"c"},"2":7})");
  ASSERT_TRUE(ranks);
  ASSERT_EQ(ranks->size(), 2U);
  EXPECT_EQ(ranks->front().rank, "0");
  EXPECT_EQ(ranks->front().engine_id, "a\"b");
  for (const char* bad : {"", "[]", "{}", R"({"0":{"engine_id":7}})"}) EXPECT_FALSE(read_mooncake_ranks(bad)) << bad;
}

TEST(MooncakeDirectory, ForgetsWhatIsOldOrWrongAndIsBounded) {
  MooncakeDirectory directory;
  Rng rng{1};
  const TimePoint now{};
  directory.put("p", {{"0", "a"}, {"1", "b"}}, now);
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) seen.insert(directory.find("p", rng, now)->engine_id);
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b"}));
  EXPECT_EQ(directory.find("p", rng, now + MooncakeDirectory::kFreshFor), nullptr);
  directory.forget("p");
  EXPECT_EQ(directory.find("p", rng, now), nullptr);
  for (std::size_t i = 0; i < 3 * MooncakeDirectory::kPodsMax; ++i) directory.put(std::to_string(i), {{"0", "a"}}, now);
  EXPECT_LE(directory.size(), MooncakeDirectory::kPodsMax);
}

}  // namespace
}  // namespace llmd::sidecar
