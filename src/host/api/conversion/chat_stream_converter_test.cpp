#include "api/conversion/chat_stream_converter.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/conversion/chat_conversion.h"

namespace llmd::api {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const AnswerFacts kFacts{.request_id = "r", .model = "m", .created = 7, .prompt_tokens = 5};
constexpr std::string_view kUsage =
    R"("usage":{"prompt_tokens":5,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}})";

std::string event(std::string_view json) { return fmt::format("data: {}\n\n", json); }
std::string delta(std::string_view members) {
  return event(fmt::format(R"({{"choices":[{{"index":0,"delta":{{{}}},"finish_reason":null}}]}})", members));
}
std::string finish(std::string_view reason, std::string_view stop) {
  return event(
      fmt::format(R"({{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{}","stop_reason":{}}}]}})", reason, stop));
}
std::string usage() { return event(fmt::format(R"({{"choices":[],{}}})", kUsage)); }

/// Thoughts, text and two calls, with what else engines send: comments, names, CR LF, nulls.
std::string whole_stream() {
  return ": hello\r\n\r\n" + delta(R"("role":"assistant","content":"")") + delta(R"("reasoning":"hm")") +
         delta(R"("content":"a\"b","tool_calls":null)") + "event: x\ndata:" + delta(R"("content":"c")").substr(6) +
         delta(R"("tool_calls":[{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":"{"}}])") +
         delta(R"("tool_calls":[{"index":0,"function":{"arguments":"}"}}])") +
         delta(R"("tool_calls":[{"index":1,"id":"2","function":{"name":"g","arguments":"{}"}}])") +
         finish("tool_calls", "null") + usage() + "data: [DONE]\n\n";
}

std::string convert(Dialect dialect, std::string_view stream, std::size_t piece, const ConvertedRequest& request = {}) {
  ChatStreamConverter converter{make_answer_writer(dialect, request, kFacts)};
  std::string out;
  for (std::size_t at = 0; at < stream.size(); at += piece) converter.feed(stream.substr(at, piece), out);
  return out;
}

TEST(ChatStreamConverter, GivesAnthropicsEvents) {
  EXPECT_EQ(convert(Dialect::kMessages, whole_stream(), 1'000'000),
            "event: message_start\n"
            R"(data: {"type":"message_start","message":{"id":"msg_r","type":"message","role":"assistant","model":"m",)"
            R"("content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,)"
            R"("cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}})"
            "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_start\n"
            R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"",)"
            R"("signature":""}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})"
            "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: content_block_start\n"
            R"(data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a\"b"}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"c"}})"
            "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
            "event: content_block_start\n"
            R"(data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"1","name":"f",)"
            R"("input":{}}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{"}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"}"}})"
            "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
            "event: content_block_start\n"
            R"(data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"2","name":"g",)"
            R"("input":{}}})"
            "\n\nevent: content_block_delta\n"
            R"(data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}})"
            "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n"
            "event: message_delta\n"
            R"(data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{)"
            R"("input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":4}})"
            "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

TEST(ChatStreamConverter, GivesTheEventsOfAResponse) {
  const std::string out = convert(
      Dialect::kResponses,
      delta(R"("content":"a")") + delta(R"("content":"b")") + finish("length", "null") + usage() + "data: [DONE]\n\n",
      1'000'000, {.echo = R"("store":false)"});
  const std::string head = R"({"id":"resp_r","object":"response","created_at":7,"status":"in_progress","error":null,)"
                           R"("incomplete_details":null,"model":"m","output":[],"store":false,"usage":null})";
  const std::string place = R"("item_id":"msg_r_0","output_index":0,"content_index":0)";
  const std::string part = R"({"type":"output_text","text":"ab","annotations":[],"logprobs":[]})";
  const std::string item = fmt::format(
      R"({{"id":"msg_r_0","type":"message","role":"assistant","content":[{}],"status":"incomplete"}})", part);
  const auto expected = [n = 0](std::string_view type, std::string_view members) mutable {
    return fmt::format("event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1},{2}}}\n\n", type, n++, members);
  };
  auto e = expected;
  std::string golden = e("response.created", fmt::format(R"("response":{})", head));
  golden += e("response.in_progress", fmt::format(R"("response":{})", head));
  golden += e("response.output_item.added",
              R"("output_index":0,"item":{"id":"msg_r_0","type":"message","role":"assistant","content":[],)"
              R"("status":"in_progress"})");
  golden += e("response.content_part.added",
              place + R"(,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]})");
  golden += e("response.output_text.delta", place + R"(,"delta":"a","logprobs":[])");
  golden += e("response.output_text.delta", place + R"(,"delta":"b","logprobs":[])");
  golden += e("response.output_text.done", place + R"(,"text":"ab","logprobs":[])");
  golden += e("response.content_part.done", fmt::format(R"({},"part":{})", place, part));
  golden += e("response.output_item.done", fmt::format(R"("output_index":0,"item":{})", item));
  golden += e("response.incomplete",
              fmt::format(R"("response":{{"id":"resp_r","object":"response","created_at":7,"status":"incomplete",)"
                          R"("error":null,"incomplete_details":{{"reason":"max_output_tokens"}},"model":"m",)"
                          R"("output":[{}],"store":false,"usage":{{"input_tokens":5,)"
                          R"("input_tokens_details":{{"cached_tokens":2}},"output_tokens":4,)"
                          R"("output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":9}}}})",
                          item));
  EXPECT_EQ(out, golden);
}

TEST(ChatStreamConverter, ComesToTheSameWhereverTheStreamIsCut) {
  const std::string stream = whole_stream();
  for (const Dialect dialect : {Dialect::kMessages, Dialect::kResponses}) {
    const std::string whole = convert(dialect, stream, stream.size());
    for (std::size_t piece = 1; piece < 40; ++piece) EXPECT_EQ(convert(dialect, stream, piece), whole) << piece;
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
      ChatStreamConverter converter{make_answer_writer(dialect, {}, kFacts)};
      std::string out;
      converter.feed(std::string_view{stream}.substr(0, cut), out);
      EXPECT_TRUE(whole.starts_with(out)) << cut;
      converter.feed(std::string_view{stream}.substr(cut), out);
      ASSERT_EQ(out, whole) << cut;
    }
  }
}

TEST(ChatStreamConverter, NamesTheReasonOfTheEnd) {
  struct Row {
    const char* finish;
    const char* stop;
    const char* reason;
    const char* sequence;
  };
  const Row table[] = {
      {"stop", "null", "end_turn", "null"},         {"stop", R"("END")", "stop_sequence", R"("END")"},
      {"stop", R"("<|end|>")", "end_turn", "null"}, {"stop", "128009", "end_turn", "null"},
      {"length", "null", "max_tokens", "null"},     {"content_filter", "null", "refusal", "null"},
      {"tool_calls", "null", "tool_use", "null"},   {"abort", "null", "end_turn", "null"},
  };
  for (const Row& row : table) {
    const std::string stream = finish(row.finish, row.stop) + "data: [DONE]\n\n";
    const std::string out = convert(Dialect::kMessages, stream, 9, {.stop = {"END"}});
    EXPECT_THAT(out, HasSubstr(fmt::format(R"("stop_reason":"{}","stop_sequence":{})", row.reason, row.sequence)));
  }
}

TEST(ChatStreamConverter, ArgumentsThatComeLateAreOfTheirOwnCall) {
  const auto call = [](int index, std::string_view arguments) {
    return delta(
        fmt::format(R"("tool_calls":[{{"index":{0},"id":"{0}","function":{{"name":"f{0}","arguments":"{1}"}}}}])",
                    index, arguments));
  };
  const std::string stream =
      call(0, "a") + call(1, "b") + call(0, "c") + finish("tool_calls", "null") + "data: [DONE]\n\n";
  EXPECT_THAT(convert(Dialect::kMessages, stream, 50),
              HasSubstr(R"("index":0,"delta":{"type":"input_json_delta","partial_json":"c"})"));
  const std::string response = convert(Dialect::kResponses, stream, 50);
  EXPECT_THAT(response.substr(response.rfind("event:")), HasSubstr(R"("name":"f0","arguments":"ac")"));
}

TEST(ChatStreamConverter, AnErrorEndsTheStreamOnce) {
  struct Row {
    const char* name;
    std::string stream;
    bool malformed;
    const char* message;
  };
  const Row table[] = {
      {"the endpoint's own", event(R"({"error":{"message":"died","type":"server_error"}})"), false, "died"},
      {"an old engine's", event(R"({"error":"died"})"), false, "died"},
      {"no JSON", event("{oops"), true, "protocol"},
      {"no object", event("[1]"), true, "protocol"},
      {"a line without end", std::string(ChatStreamConverter::kLineBytesMax + 1, 'x'), true, "protocol"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    for (const Dialect dialect : {Dialect::kMessages, Dialect::kResponses}) {
      ChatStreamConverter converter{make_answer_writer(dialect, {}, kFacts)};
      std::string out;
      converter.feed(delta(R"("content":"a")"), out);
      converter.feed(row.stream, out);
      EXPECT_TRUE(converter.over());
      EXPECT_EQ(converter.malformed(), row.malformed);
      const std::string last = out.substr(out.rfind("event:"));
      EXPECT_THAT(last, HasSubstr(dialect == Dialect::kMessages ? "event: error\n" : "event: response.failed\n"));
      EXPECT_THAT(last, HasSubstr(row.message));
      const std::size_t size = out.size();
      converter.feed(delta(R"("content":"b")") + "data: [DONE]\n\n", out);
      converter.fail({.code = ErrorCode::kUpstreamFailed, .what = "cut"}, out);
      EXPECT_EQ(out.size(), size);
    }
  }
}

TEST(ChatConversion, WholeAnswers) {
  const std::string answer = fmt::format(
      R"({{"choices":[{{"message":{{"content":"a","reasoning_content":"t","tool_calls":[{{"id":"1","function":{{)"
      R"("name":"f","arguments":"{{\"k\":1}}"}}}}]}},"finish_reason":"tool_calls"}}],{}}})",
      kUsage);
  const auto message = convert_answer(Dialect::kMessages, {}, kFacts, answer);
  ASSERT_TRUE(message.has_value()) << message.error().what;
  EXPECT_EQ(
      *message,
      R"({"id":"msg_r","type":"message","role":"assistant","model":"m","stop_reason":"tool_use","stop_sequence":null,)"
      R"("content":[{"type":"thinking","thinking":"t","signature":""},{"type":"text","text":"a"},)"
      R"({"type":"tool_use","id":"1","name":"f","input":{"k":1}}],"usage":{"input_tokens":3,)"
      R"("cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":4}})");
  const auto response = convert_answer(Dialect::kResponses, {}, kFacts, answer);
  ASSERT_TRUE(response.has_value());
  EXPECT_THAT(*response,
              HasSubstr(R"({"id":"fc_r_2","type":"function_call","call_id":"1","name":"f","arguments":"{\"k\":1}",)"
                        R"("status":"completed"}])"));
  EXPECT_THAT(*response, EndsWith(R"("total_tokens":9}})"));
  EXPECT_EQ(*convert_answer(Dialect::kCountTokens, {}, kFacts, R"({"count":7})"), R"({"input_tokens":7})");
  for (const char* wrong : {"", "[]", "{}", R"({"choices":[]})", R"({"choices":[{"text":"a"}]})"}) {
    for (const Dialect dialect : {Dialect::kMessages, Dialect::kResponses, Dialect::kCountTokens})
      EXPECT_FALSE(convert_answer(dialect, {}, kFacts, wrong)) << wrong;
  }
}

TEST(ChatConversion, ArgumentsThatWereCutAreAnEmptyInput) {
  const auto message = convert_answer(
      Dialect::kMessages, {}, kFacts,
      R"({"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"k\":"}}]},)"
      R"("finish_reason":"length"}]})");
  ASSERT_TRUE(message.has_value());
  EXPECT_THAT(*message, HasSubstr(R"("stop_reason":"max_tokens")"));
  EXPECT_THAT(*message, HasSubstr(R"("name":"f","input":{}})"));
}

}  // namespace
}  // namespace llmd::api
