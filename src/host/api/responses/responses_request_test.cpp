#include "api/responses/responses_request.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "api/openai/chat_request.h"

namespace llmd::responses {
namespace {

using testing::HasSubstr;

std::string with(std::string_view fields) { return fmt::format(R"({{"input":"hi",{}}})", fields); }

TEST(ResponsesRequest, BecomesAChatCompletion) {
  struct Row {
    const char* name;
    std::string body;
    const char* chat;
  };
  const Row table[] = {
      {"least", R"({"input":"hi"})", R"({"messages":[{"role":"user","content":"hi"}]})"},
      {"limits and names",
       with(R"("model":"m","max_output_tokens":5,"temperature":0,"top_p":0.5,"user":"u","instructions":"be brief")"),
       R"({"model":"m","max_tokens":5,"temperature":0,"top_p":0.5,"user":"u","messages":[{"role":"system",)"
       R"("content":"be brief"},{"role":"user","content":"hi"}]})"},
      {"stream", with(R"("stream":true,"store":true,"stream_options":{"include_obfuscation":false})"),
       R"({"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]})"},
      {"tools",
       with(R"("tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"tool_choice":{)"
            R"("type":"function","name":"f"},"parallel_tool_calls":true)"),
       R"({"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":true,"tools":[{)"
       R"("type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{"role":"user",)"
       R"("content":"hi"}]})"},
      {"format",
       with(R"("text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}})"),
       R"({"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},)"
       R"("strict":true}},"messages":[{"role":"user","content":"hi"}]})"},
      {"no thinking", with(R"("reasoning":{"effort":"none"})"),
       R"({"reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":false},"messages":[{"role":"user",)"
       R"("content":"hi"}]})"},
      {"items",
       R"({"input":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"input_text","text":"a"},{)"
       R"("type":"input_image","image_url":"u"}]},{"type":"reasoning","id":"r","summary":[],"content":[{)"
       R"("type":"reasoning_text","text":"t"}]},{"type":"message","id":"m","role":"assistant","status":"completed",)"
       R"("content":[{"type":"output_text","text":"b","annotations":[]}]},{"type":"function_call","call_id":"1",)"
       R"("name":"f","arguments":"{}"},{"type":"function_call","call_id":"2","name":"g","arguments":"{}"},{)"
       R"("type":"function_call_output","call_id":"1","output":"x"},{"type":"function_call_output","call_id":"2",)"
       R"("output":[{"type":"input_text","text":"y"}]}],"instructions":"i"})",
       R"({"messages":[{"role":"system","content":"i\ns"},{"role":"user","content":[{"type":"text","text":"a"},{)"
       R"("type":"image_url","image_url":{"url":"u"}}]},{"role":"assistant","content":"b","reasoning_content":"t",)"
       R"("tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"2",)"
       R"("type":"function","function":{"name":"g","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1",)"
       R"("content":"x"},{"role":"tool","tool_call_id":"2","content":"y"}]})"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = convert_response_request(row.body);
    ASSERT_TRUE(request.has_value()) << request.error().what;
    EXPECT_EQ(request->body, row.chat);
    const bool text_only = row.body.find("image") == std::string::npos;
    EXPECT_EQ(openai::parse_chat_completion(request->body).has_value(), text_only);
  }
}

TEST(ResponsesRequest, TheAnswerRepeatsWhatWasAskedAndThatNothingIsStored) {
  const auto request = convert_response_request(with(R"("store":true,"temperature":0.5,"metadata":{"k":"v"})"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(
      request->echo,
      R"("background":false,"previous_response_id":null,"store":false,"instructions":null,"max_output_tokens":null,)"
      R"("metadata":{"k":"v"},"parallel_tool_calls":true,"reasoning":{"effort":null,"summary":null},)"
      R"("temperature":0.5,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,)"
      R"("truncation":"disabled","user":null)");
}

TEST(ResponsesRequest, EachRefusalNamesTheClientsField) {
  struct Row {
    std::string body;
    const char* param;
    const char* what;
  };
  const Row table[] = {
      {R"({"model":"m"})", "input", "input is missing"},
      {R"({"input":[]})", "input", "input is empty"},
      {R"({"input":3})", "input", "input is 3"},
      {R"({"input":[{"role":"x","content":"a"}]})", "input[0].role", "is \"x\""},
      {R"({"input":[{"type":"web_search_call","id":"1"}]})", "input[0].type", "which is not taken here"},
      {R"({"input":[{"type":"item_reference","id":"1"}]})", "input[0].type", "nothing is kept"},
      {R"({"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]})", "input[0].content[0].type",
       "\"input_file\""},
      {R"({"input":[{"type":"function_call_output","output":"x"}]})", "input[0].call_id", "is missing"},
      {with(R"("previous_response_id":"r")"), "previous_response_id", "nothing is kept"},
      {with(R"("conversation":{"id":"c"})"), "conversation", "nothing is kept"},
      {with(R"("background":true)"), "background", "nothing is kept"},
      {with(R"("prompt":{"id":"p"})"), "prompt", "no prompts are kept"},
      {with(R"("truncation":"auto")"), "truncation", "nothing is cut"},
      {with(R"("top_logprobs":3)"), "top_logprobs", "not supported"},
      {with(R"("max_output_tokens":0)"), "max_output_tokens", "expected an integer from 1"},
      {with(R"("tools":[{"type":"web_search"}])"), "tools[0].type", "runs no tools itself"},
      {with(R"("tool_choice":"required")"), "tool_choice", "given without tools"},
      {with(R"("tool_choice":"maybe")"), "tool_choice", "is \"maybe\""},
      {with(R"("text":{"format":{"type":"json_schema"}})"), "text.format.schema", "is missing"},
      {with(R"("reasoning":{"effort":"huge"})"), "reasoning.effort", "is \"huge\""},
      {with(R"("temperature":-1)"), "temperature", "expected a number from 0 to 2"},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.body);
    const auto request = convert_response_request(row.body);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().param, row.param);
    EXPECT_THAT(request.error().what, HasSubstr(row.what));
  }
}

TEST(ResponsesRequest, ReferencesAreFoundInBodiesThatArePassedOn) {
  std::string refers = R"({"input":"hi","previous_response_id":"r"})";
  EXPECT_FALSE(check_stateless(refers));
  std::string refers_not = R"({"input":"previous_response_id","previous_response_id":null,"conversation" : null})";
  EXPECT_TRUE(check_stateless(refers_not));
}

}  // namespace
}  // namespace llmd::responses
