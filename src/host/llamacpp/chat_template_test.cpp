#include "llamacpp/chat_template.h"

#include <gtest/gtest.h>

#include <string>

#include "llamacpp/grammar.h"
#include "llamacpp/test_model.h"
#include "llamacpp/vocab.h"

namespace llmd::llamacpp {
namespace {

constexpr const char* kMessages = R"([{"role":"user","content":"What is the weather in Oslo?"}])";
constexpr const char* kTools =
    R"([{"type":"function","function":{"name":"weather","description":"now","parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},)"
    R"({"type":"function","function":{"name":"time","parameters":{"type":"object","properties":{}}}}])";

std::shared_ptr<const ChatTemplate> chat_template() {
  static const auto loaded = ChatTemplate::load(test_model());
  EXPECT_TRUE(loaded);
  return *loaded;
}

bool grammar_accepts(const RenderedChat& rendered, const std::string& text) {
  const Vocab vocab{test_model()};
  auto grammar = Grammar::make(test_model(), rendered.grammar);
  EXPECT_TRUE(grammar) << (grammar ? "" : grammar.error().to_string());
  for (const TokenId token : vocab.encode(text, {.add_special = false})) {
    if (!(*grammar)->allows(token) || !(*grammar)->accept(token)) return false;
  }
  return true;
}

TEST(ChatTemplate, RendersTheModelsOwnFormatAndTheSameAgainFromItsCache) {
  const auto first = chat_template()->render({.messages_json = kMessages});
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_NE(first->prompt.find("<|im_start|>user\nWhat is the weather in Oslo?<|im_end|>\n<|im_start|>assistant\n"),
            std::string::npos);
  const auto again = chat_template()->render({.messages_json = kMessages});
  ASSERT_TRUE(again);
  EXPECT_EQ(first->prompt, again->prompt);
  ChatParser parser{*again};
  EXPECT_EQ(parser.feed("Rain").content, "Rain");
  EXPECT_TRUE(parser.finish().empty());
}

TEST(ChatTemplate, HandsTheClientsArgumentsToTheTemplate) {
  const auto echoing = ChatTemplate::load(
      test_model(), "{% for m in messages %}{{ m.content }}{% endfor %}|{{ tone }}|{{ count }}|{{ enable_thinking }}");
  ASSERT_TRUE(echoing) << echoing.error().to_string();
  const std::string kwargs = R"({"tone":"a tone that is longer than a short string","count":3,"enable_thinking":true})";
  for (int i = 0; i < 3; ++i) {
    const auto rendered = (*echoing)->render({.messages_json = kMessages, .template_kwargs_json = kwargs});
    ASSERT_TRUE(rendered) << rendered.error().to_string();
    EXPECT_NE(rendered->prompt.find("|a tone that is longer than a short string|3|True"), std::string::npos)
        << rendered->prompt;
  }
}

TEST(ChatTemplate, NamedFunctionAllowsOnlyACallOfThatFunction) {
  const auto rendered = chat_template()->render({.messages_json = kMessages,
                                                 .tools_json = kTools,
                                                 .tool_choice = ChatRequest::ToolChoice::kFunction,
                                                 .tool_name = "weather"});
  ASSERT_TRUE(rendered) << rendered.error().to_string();
  EXPECT_TRUE(
      grammar_accepts(*rendered, R"(<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>)"));
  EXPECT_FALSE(grammar_accepts(*rendered, R"(<tool_call>{"name": "time", "arguments": {}}</tool_call>)"));
  EXPECT_FALSE(grammar_accepts(*rendered, "It rains."));
}

TEST(ChatTemplate, RequiredAllowsEachToolButNoText) {
  const auto rendered = chat_template()->render(
      {.messages_json = kMessages, .tools_json = kTools, .tool_choice = ChatRequest::ToolChoice::kRequired});
  ASSERT_TRUE(rendered) << rendered.error().to_string();
  EXPECT_TRUE(grammar_accepts(*rendered, R"(<tool_call>{"name": "time", "arguments": {}}</tool_call>)"));
  EXPECT_FALSE(grammar_accepts(*rendered, "It rains."));
}

TEST(ChatTemplate, AutoAllowsTextAndConstrainsACallOnceItBegins) {
  const auto rendered = chat_template()->render({.messages_json = kMessages, .tools_json = kTools});
  ASSERT_TRUE(rendered);
  EXPECT_TRUE(grammar_accepts(*rendered, "It rains."));
  EXPECT_FALSE(grammar_accepts(*rendered, R"(Well: <tool_call>{"name": "unknown")"));
  EXPECT_NE(rendered->prompt.find("\"name\":\"weather\""), std::string::npos);
}

TEST(ChatTemplate, NoneLeavesToolsOut) {
  const auto rendered = chat_template()->render(
      {.messages_json = kMessages, .tools_json = kTools, .tool_choice = ChatRequest::ToolChoice::kNone});
  ASSERT_TRUE(rendered);
  EXPECT_TRUE(rendered->grammar.gbnf.empty());
}

TEST(ChatTemplate, RefusesWhatTheTemplateCannotTake) {
  const struct {
    const char* name;
    ChatRequest request;
    ErrorCode code;
  } kCases[] = {
      {"messages are no array", {.messages_json = R"({"role":"user"})"}, ErrorCode::kInvalidRequest},
      {"message without role", {.messages_json = R"([{"content":"x"}])"}, ErrorCode::kInvalidRequest},
      {"deep messages", {.messages_json = std::string(50'000, '[')}, ErrorCode::kInvalidRequest},
      {"schema", {.messages_json = kMessages, .json_schema = R"({"type":"colour"})"}, ErrorCode::kInvalidGrammar},
      {"grammar", {.messages_json = kMessages, .grammar = "root ::= ("}, ErrorCode::kInvalidGrammar},
      {"unknown function",
       {.messages_json = kMessages,
        .tools_json = kTools,
        .tool_choice = ChatRequest::ToolChoice::kFunction,
        .tool_name = "x"},
       ErrorCode::kInvalidRequest},
      {"tool without function",
       {.messages_json = kMessages, .tools_json = R"([{"type":"function"}])"},
       ErrorCode::kInvalidRequest},
  };
  for (const auto& test : kCases) {
    const auto rendered = chat_template()->render(test.request);
    ASSERT_FALSE(rendered) << test.name;
    EXPECT_EQ(rendered.error().code, test.code) << test.name << ": " << rendered.error().to_string();
  }
}

TEST(ChatParser, ReadsACallHoweverTheStreamIsCut) {
  const auto rendered = chat_template()->render({.messages_json = kMessages, .tools_json = kTools});
  ASSERT_TRUE(rendered);
  const std::string text = R"(Let me see. <tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>)";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    ChatParser parser{*rendered};
    std::string content;
    ToolCall call;
    const auto add = [&](const ChatDelta& delta) {
      content += delta.content;
      for (const ChatDelta::Call& part : delta.tool_calls) {
        EXPECT_EQ(part.index, 0U);
        call.id += part.id;
        call.name += part.name;
        call.arguments += part.arguments;
      }
    };
    for (std::size_t at = 0; at < text.size(); at += piece) add(parser.feed(text.substr(at, piece)));
    add(parser.finish());
    ASSERT_EQ(content, "Let me see. ") << "pieces of " << piece;
    EXPECT_EQ(call.name, "weather");
    EXPECT_EQ(call.arguments, R"({"city":"Oslo"})");
    EXPECT_TRUE(call.id.starts_with("call_"));
    EXPECT_TRUE(parser.has_tool_calls());
  }
}

/// A template with tools of its own, in the Hermes form that many models use.
constexpr const char* kToolTemplate =
    "{%- if tools %}<|im_start|>system\n# Tools\n<tools>{%- for tool in tools %}\n{{ tool | tojson }}{%- endfor "
    "%}\n</tools>"
    "For each function call, return a json object within <tool_call></tool_call> tags<|im_end|>\n{%- endif %}"
    "{%- for message in messages %}{%- if message.tool_calls %}<|im_start|>assistant\n"
    "{%- for tool_call in message.tool_calls %}\n<tool_call>\n{\"name\": \"{{ tool_call.function.name }}\", "
    "\"arguments\": "
    "{{ tool_call.function.arguments | tojson }}}\n</tool_call>{%- endfor %}<|im_end|>\n"
    "{%- elif message.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ message.content "
    "}}\n</tool_response><|im_end|>\n"
    "{%- else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{%- endif %}";

TEST(ChatTemplate, UsesTheToolFormatOfATemplateThatHasOne) {
  const auto loaded = ChatTemplate::load(test_model(), kToolTemplate);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  const auto rendered = (*loaded)->render(
      {.messages_json = kMessages, .tools_json = kTools, .tool_choice = ChatRequest::ToolChoice::kRequired});
  ASSERT_TRUE(rendered) << rendered.error().to_string();
  EXPECT_NE(rendered->prompt.find("# Tools"), std::string::npos);
  EXPECT_FALSE(rendered->grammar.gbnf.empty());
  ChatParser parser{*rendered};
  std::string arguments;
  std::string name;
  std::size_t pieces = 0;
  const std::string text = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";
  const auto add = [&](const ChatDelta& delta) {
    for (const auto& call : delta.tool_calls) {
      EXPECT_EQ(call.id.empty(), call.name.empty()) << "together, once";
      name += call.name;
      arguments += call.arguments;
      pieces += call.arguments.empty() ? 0 : 1;
    }
  };
  for (const char c : text) add(parser.feed({&c, 1}));
  add(parser.finish());
  EXPECT_EQ(name, "weather");
  EXPECT_NE(arguments.find("Oslo"), std::string::npos);
  EXPECT_GT(pieces, std::string{"Oslo"}.size()) << "arguments come as they are made";
}

TEST(ChatTemplate, KeepsThePatternsOfToolsWhoeverWritesTheGrammar) {
  const std::string tools =
      R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","required":["pattern"],)"
      R"("properties":{"pattern":{"type":"string","pattern":"^\\d{3}$"}}}}}])";
  for (const char* source : {"", kToolTemplate}) {
    SCOPED_TRACE(source);
    const auto loaded = ChatTemplate::load(test_model(), source);
    ASSERT_TRUE(loaded);
    ChatRequest request{
        .messages_json = kMessages, .tools_json = tools, .tool_choice = ChatRequest::ToolChoice::kRequired};
    const auto rendered = (*loaded)->render(request);
    ASSERT_TRUE(rendered) << rendered.error().to_string();
    const std::string break_after_marker = *source == '\0' ? "" : "\n";
    const std::string call = "<tool_call>" + break_after_marker + R"({"name": "f", "arguments": {"pattern": ")";
    EXPECT_TRUE(grammar_accepts(*rendered, call + "123\"}"));
    EXPECT_FALSE(grammar_accepts(*rendered, call + "abc"));
    request.tools_json = tools;
    request.tools_json.replace(tools.find("^\\\\d"), 4, "^\\\\b");
    const auto refused = (*loaded)->render(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidGrammar);
  }
}

TEST(ChatParser, TellsEachTokensTextAtOnceInALongAnswerToo) {
  const auto loaded = ChatTemplate::load(test_model(), kToolTemplate);
  ASSERT_TRUE(loaded);
  const auto rendered = (*loaded)->render({.messages_json = kMessages, .tools_json = kTools});
  ASSERT_TRUE(rendered) << rendered.error().to_string();
  ChatParser parser{*rendered};
  std::string said(20'000, 'a');
  EXPECT_EQ(parser.feed(said).content, said);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(parser.feed(" word").content, " word");
}

TEST(ChatTemplate, RefusesATemplateThatDoesNotParse) {
  const auto loaded = ChatTemplate::load(test_model(), "{% for %}");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kFileInvalid);
}

}  // namespace
}  // namespace llmd::llamacpp
