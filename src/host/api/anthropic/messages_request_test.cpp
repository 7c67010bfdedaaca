#include "api/anthropic/messages_request.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/openai/chat_request.h"

namespace llmd::anthropic {
namespace {

using testing::HasSubstr;

constexpr std::string_view kUser = R"("messages":[{"role":"user","content":"hi"}])";

std::string with(std::string_view fields) { return fmt::format(R"({{"max_tokens":5,{},{}}})", kUser, fields); }

TEST(MessagesRequest, BecomesAChatCompletion) {
  struct Row {
    const char* name;
    std::string body;
    const char* chat;
  };
  const Row table[] = {
      {"least", R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})",
       R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})"},
      {"system string", with(R"("system":"be brief")"),
       R"({"max_tokens":5,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]})"},
      {"system blocks without the accounting",
       with(R"("system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"a"},{)"
            R"("type":"text","text":"b","cache_control":{"type":"ephemeral"}}])"),
       R"({"max_tokens":5,"messages":[{"role":"system","content":"a\nb"},{"role":"user","content":"hi"}]})"},
      {"sampling",
       with(R"("model":"m","stop_sequences":["x"],"top_k":3,"top_p":0.5,"temperature":1,"metadata":{"user_id":"u"},)"
            R"("stream":true)"),
       R"({"max_tokens":5,"model":"m","stop":["x"],"top_k":3,"top_p":0.5,"temperature":1,"user":"u",)"
       R"("stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]})"},
      {"tools",
       with(R"("tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f",)"
            R"("disable_parallel_tool_use":true})"),
       R"({"max_tokens":5,"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,)"
       R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{)"
       R"("role":"user","content":"hi"}]})"},
      {"thinking", with(R"("thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"effort":"max"})"),
       R"({"max_tokens":5,"reasoning_effort":"high","chat_template_kwargs":{"enable_thinking":true},"messages":[{)"
       R"("role":"user","content":"hi"}]})"},
      {"format", with(R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})"),
       R"({"max_tokens":5,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{)"
       R"("type":"object"}}},"messages":[{"role":"user","content":"hi"}]})"},
      {"an answer that the client began",
       R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text",)"
       R"("text":"He"}]}]})",
       R"({"max_tokens":5,"continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"user",)"
       R"("content":"hi"},{"role":"assistant","content":"He"}]})"},
      {"null is absent, what is unknown is left out", with(R"("top_k":null,"system":null,"service_tier":"auto")"),
       R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})"},
      {"vLLM's own", with(R"("priority":-1,"cache_salt":"s","min_p":0.1)"),
       R"({"max_tokens":5,"priority":-1,"cache_salt":"s","min_p":0.1,"messages":[{"role":"user","content":"hi"}]})"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = convert_messages(row.body);
    ASSERT_TRUE(request.has_value()) << request.error().what;
    EXPECT_EQ(request->body, row.chat);
    const auto chat = openai::parse_chat_completion(request->body);
    EXPECT_TRUE(chat.has_value()) << chat.error().what;
  }
}

TEST(MessagesRequest, BlocksBecomeMessages) {
  struct Row {
    const char* name;
    const char* messages;
    const char* chat;
  };
  const Row table[] = {
      {"texts of one turn are one message",
       R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])",
       R"([{"role":"user","content":"a\nb"}])"},
      {"turns stay apart", R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])",
       R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])"},
      {"thoughts, text and calls are one answer",
       R"([{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{)"
       R"("type":"redacted_thinking","data":"x"},{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"f",)"
       R"("input":{"k":[1, 2]}},{"type":"tool_use","id":"2","name":"g","input":{}}]}])",
       R"([{"role":"assistant","content":"a","reasoning_content":"t","tool_calls":[{"id":"1","type":"function",)"
       R"("function":{"name":"f","arguments":"{\"k\":[1,2]}"}},{"id":"2","type":"function","function":{"name":"g",)"
       R"("arguments":"{}"}}]}])"},
      {"results come as messages of their own, text behind them as the user's",
       R"([{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"x"},{"type":"tool_result",)"
       R"("tool_use_id":"2","content":[{"type":"text","text":"y"},{"type":"image","source":{"type":"url",)"
       R"("url":"http://i"}}]},{"type":"text","text":"go on"}]}])",
       R"([{"role":"tool","tool_call_id":"1","content":"x"},{"role":"tool","tool_call_id":"2","content":"y"},{)"
       R"("role":"user","content":[{"type":"image_url","image_url":{"url":"http://i"}},{"type":"text",)"
       R"("text":"go on"}]}])"},
      {"a result without content", R"([{"role":"user","content":[{"type":"tool_result","tool_use_id":"1"}]}])",
       R"([{"role":"tool","tool_call_id":"1","content":""}])"},
      {"images and documents",
       R"([{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png",)"
       R"("data":"AA"}},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"doc"}},{)"
       R"("type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"r"}]}]}])",
       R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{)"
       R"("type":"text","text":"doc\nt\nr"}]}])"},
      {"a system message in the middle",
       R"([{"role":"user","content":"a"},{"role":"system","content":[{"type":"text","text":"s"}]},{"role":"user",)"
       R"("content":"b"}])",
       R"([{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}])"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = convert_messages(fmt::format(R"({{"max_tokens":5,"messages":{}}})", row.messages));
    ASSERT_TRUE(request.has_value()) << request.error().what;
    EXPECT_THAT(request->body, HasSubstr(fmt::format(R"("messages":{}}})", row.chat)));
  }
}

TEST(MessagesRequest, EachRefusalNamesTheClientsField) {
  struct Row {
    std::string body;
    const char* param;
    const char* what;
  };
  const Row table[] = {
      {R"({"messages":[{"role":"user","content":"hi"}]})", "max_tokens", "max_tokens is missing"},
      {R"({"max_tokens":5})", "messages", "messages is missing"},
      {R"({"max_tokens":5,"messages":[]})", "messages", "messages is empty"},
      {R"({"max_tokens":5,"messages":[{"role":"assistant","content":[]}]})", "messages", "without content"},
      {R"({"max_tokens":5,"messages":[{"role":"x","content":"a"}]})", "messages[0].role", "is \"x\""},
      {R"({"max_tokens":5,"messages":[{"role":"user"}]})", "messages[0].content", "is missing"},
      {R"({"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_use"}]}]})",
       "messages[0].content[0].type", "which is not taken here"},
      {R"({"max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file",)"
       R"("file_id":"f"}}]}]})",
       "messages[0].content[0].source.type", "\"file\""},
      {R"({"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result"}]}]})",
       "messages[0].content[0].tool_use_id", "is missing"},
      {R"({"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f",)"
       R"("input":"x"}]}]})",
       "messages[0].content[0].input", "is a string; expected an object"},
      {with(R"("temperature":2.5)"), "temperature", "temperature is 2.5; expected a number from 0 to 2"},
      {with(R"("top_p":0)"), "top_p", "expected a number above 0"},
      {with(R"("top_k":"x")"), "top_k", "expected an integer"},
      {with(R"("stop_sequences":["a",""])"), "stop_sequences[1]", "is empty"},
      {with(R"("thinking":{"type":"much"})"), "thinking.type", "is \"much\""},
      {with(R"("tools":[{"name":"f"}])"), "tools[0].input_schema", "is missing"},
      {with(R"("tools":[{"name":"a b","input_schema":{}}])"), "tools[0].name", "is \"a b\""},
      {with(R"("tools":[{"type":"bash_20250124","name":"bash"}])"), "tools[0].type", "runs no tools itself"},
      {with(R"("tool_choice":{"type":"any"})"), "tool_choice", "given without tools"},
      {with(R"("tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"tool","name":"g"})"), "tool_choice.name",
       "is \"g\""},
      {with(R"("mcp_servers":[{"url":"x"}])"), "mcp_servers", "is not supported"},
      {with(R"("output_config":{"format":{"type":"xml"}})"), "output_config.format.type", "is \"xml\""},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.body);
    const auto request = convert_messages(row.body);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().param, row.param);
    EXPECT_THAT(request.error().what, HasSubstr(row.what));
  }
}

TEST(MessagesRequest, CountingNeedsNoLimitAndATextServerTakesNoImage) {
  const std::string image =
      R"({"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]})";
  EXPECT_TRUE(convert_messages(image, {.counts_tokens = true}).has_value());
  const auto refused = convert_messages(image, {.text_only = true, .counts_tokens = true});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().param, "messages[0].content[0].type");
}

}  // namespace
}  // namespace llmd::anthropic
