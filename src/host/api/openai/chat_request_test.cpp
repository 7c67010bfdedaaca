#include "api/openai/chat_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace llmd::openai {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTools = R"("tools":[{"type":"function","function":{"name":"get_weather","description":"d",)"
                                    R"("parameters":{"type":"object"}}}])";

std::string with(std::string_view fields) {
  return R"({"messages":[{"role":"user","content":"hi"}],)" + std::string{fields} + "}";
}

TEST(ChatRequest, WritesMessagesWithTheFieldsThatTemplatesKnow) {
  const auto request = parse_chat_completion(
      R"({"messages":[
        {"role":"developer","content":"be brief","x":1},
        {"role":"user","content":[{"type":"text","text":"a\"b"}],"name":"ann"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
           "function":{"name":"f","arguments":"{\"k\":1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"ok"}]})");
  ASSERT_TRUE(request.has_value()) << request.error().what;
  EXPECT_EQ(request->prompt.messages_json,
            R"([{"role":"system","content":"be brief"},)"
            R"({"role":"user","content":[{"type":"text","text":"a\"b"}],"name":"ann"},)"
            R"({"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f",)"
            R"("arguments":"{\"k\":1}"},"id":"c1"}]},)"
            R"({"role":"tool","content":"ok","tool_call_id":"c1"}])");
  EXPECT_TRUE(request->prompt.add_generation_prompt);
}

struct Refusal {
  const char* name;
  std::string body;
  ErrorCode code;
  const char* param;
};

TEST(ChatRequest, NamesThePlaceOfWhatItRefuses) {
  const auto messages = [](std::string_view list) { return R"({"messages":)" + std::string{list} + "}"; };
  const Refusal table[] = {
      {"no messages", R"({"model":"m"})", ErrorCode::kInvalidRequest, "messages"},
      {"null messages", messages("null"), ErrorCode::kInvalidRequest, "messages"},
      {"empty", messages("[]"), ErrorCode::kInvalidRequest, "messages"},
      {"text", messages(R"("hi")"), ErrorCode::kInvalidRequest, "messages"},
      {"no object", messages("[1]"), ErrorCode::kInvalidRequest, "messages[0]"},
      {"no role", messages(R"([{"content":"a"}])"), ErrorCode::kInvalidRequest, "messages[0].role"},
      {"bad role", messages(R"([{"role":"robot","content":"a"}])"), ErrorCode::kInvalidRequest, "messages[0].role"},
      {"no content", messages(R"([{"role":"user"}])"), ErrorCode::kInvalidRequest, "messages[0].content"},
      {"number", messages(R"([{"role":"user","content":7}])"), ErrorCode::kInvalidRequest, "messages[0].content"},
      {"part", messages(R"([{"role":"user","content":["a"]}])"), ErrorCode::kInvalidRequest, "messages[0].content[0]"},
      {"image", messages(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}])"),
       ErrorCode::kUnsupported, "messages[0].content[0].type"},
      {"legacy role", messages(R"([{"role":"function","name":"f","content":"a"}])"), ErrorCode::kUnsupported,
       "messages[0].role"},
      {"legacy call", messages(R"([{"role":"assistant","content":"","function_call":{"name":"f","arguments":"{}"}}])"),
       ErrorCode::kUnsupported, "messages[0].function_call"},
      {"spoken message", messages(R"([{"role":"assistant","content":"","audio":{"id":"a"}}])"), ErrorCode::kUnsupported,
       "messages[0].audio"},
      {"tool result of no call", messages(R"([{"role":"tool","content":"a"}])"), ErrorCode::kInvalidRequest,
       "messages[0].tool_call_id"},
      {"functions", with(R"("functions":[{"name":"f","parameters":{}}])"), ErrorCode::kUnsupported, "functions"},
      {"function_call", with(R"("function_call":"auto")"), ErrorCode::kUnsupported, "function_call"},
      {"modalities", with(R"("modalities":["text","audio"])"), ErrorCode::kUnsupported, "modalities"},
      {"modality type", with(R"("modalities":"text")"), ErrorCode::kInvalidRequest, "modalities"},
      {"audio", with(R"("audio":{"voice":"alloy","format":"wav"})"), ErrorCode::kUnsupported, "audio"},
      {"call", messages(R"([{"role":"assistant","tool_calls":[{}]}])"), ErrorCode::kInvalidRequest,
       "messages[0].tool_calls[0].function"},
      {"tools type", with(R"("tools":{})"), ErrorCode::kInvalidRequest, "tools"},
      {"tool name", with(R"("tools":[{"type":"function","function":{"name":"a b"}}])"), ErrorCode::kInvalidRequest,
       "tools[0].function.name"},
      {"tool schema", with(R"("tools":[{"type":"function","function":{"name":"a","parameters":1}}])"),
       ErrorCode::kInvalidRequest, "tools[0].function.parameters"},
      {"tool kind", with(R"("tools":[{"type":"web"}])"), ErrorCode::kInvalidRequest, "tools[0].type"},
      {"choice word", with(R"("tool_choice":"maybe")"), ErrorCode::kInvalidRequest, "tool_choice"},
      {"choice without tools", with(R"("tool_choice":"required")"), ErrorCode::kInvalidRequest, "tool_choice"},
      {"choice unknown", with(std::string{kTools} + R"(,"tool_choice":{"type":"function","function":{"name":"x"}})"),
       ErrorCode::kInvalidRequest, "tool_choice.function.name"},
      {"choice and schema",
       with(std::string{kTools} + R"(,"tool_choice":"required","response_format":{"type":"json_object"})"),
       ErrorCode::kInvalidRequest, "tool_choice"},
      {"kwargs", with(R"("chat_template_kwargs":[])"), ErrorCode::kInvalidRequest, "chat_template_kwargs"},
      {"continue user", with(R"("continue_final_message":true)"), ErrorCode::kInvalidRequest, "continue_final_message"},
  };
  for (const Refusal& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = parse_chat_completion(row.body);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().code, row.code);
    EXPECT_EQ(request.error().param, row.param) << request.error().what;
  }
}

TEST(ChatRequest, TakesTextAsTheOnlyModality) {
  EXPECT_TRUE(parse_chat_completion(with(R"("modalities":["text"],"audio":null,"functions":null)")).has_value());
}

TEST(ChatRequest, NeverRepeatsMessageTextInAnError) {
  const auto request = parse_chat_completion(
      R"({"messages":[{"role":"user","content":"a secret"}],"tools":"a secret","temperature":1})");
  ASSERT_FALSE(request.has_value());
  EXPECT_THAT(request.error().to_string(), testing::Not(HasSubstr("secret")));
}

TEST(ChatRequest, ReadsEveryToolChoice) {
  const std::pair<const char*, ToolChoice> table[] = {
      {R"("auto")", ToolChoice::kAuto},
      {R"("none")", ToolChoice::kNone},
      {R"("required")", ToolChoice::kRequired},
      {R"({"type":"function","function":{"name":"get_weather"}})", ToolChoice::kFunction},
  };
  for (const auto& [text, choice] : table) {
    const auto request = parse_chat_completion(with(std::string{kTools} + R"(,"tool_choice":)" + text));
    ASSERT_TRUE(request.has_value()) << text << ": " << request.error().what;
    EXPECT_EQ(request->prompt.tool_choice, choice);
    EXPECT_THAT(request->prompt.tools_json, HasSubstr("get_weather"));
    EXPECT_EQ(request->prompt.tool_name, choice == ToolChoice::kFunction ? "get_weather" : "");
  }
}

TEST(ChatRequest, TakesTheFinalMessageOutWhenItIsToBeContinued) {
  const auto request = parse_chat_completion(
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"The ans"}],
          "continue_final_message":true,"add_generation_prompt":false})");
  ASSERT_TRUE(request.has_value()) << request.error().what;
  EXPECT_EQ(request->prompt.continued_text, "The ans");
  EXPECT_EQ(request->prompt.messages_json, R"([{"role":"user","content":"q"}])");
  EXPECT_TRUE(request->prompt.add_generation_prompt);
}

}  // namespace
}  // namespace llmd::openai
