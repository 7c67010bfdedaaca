#include "llamacpp/tool_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::llamacpp {
namespace {

/// What a client has after the deltas so far.
struct Message {
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
  };
  std::string content;
  std::vector<Call> calls;
  std::size_t pieces = 0;  // deltas with arguments

  void add(const ChatDelta& delta) {
    content += delta.content;
    for (const ChatDelta::Call& piece : delta.tool_calls) {
      ASSERT_LE(piece.index, calls.size());
      if (piece.index == calls.size()) {
        EXPECT_TRUE(piece.id.starts_with("call_")) << "the first delta of a call has its id";
        EXPECT_FALSE(piece.name.empty()) << "and its name";
        calls.push_back({.id = piece.id, .name = piece.name, .arguments = {}});
      } else {
        EXPECT_TRUE(piece.id.empty() && piece.name.empty()) << "which come once";
      }
      calls[piece.index].arguments += piece.arguments;
      pieces += piece.arguments.empty() ? 0 : 1;
    }
  }
};

Message read(const std::string& text, std::size_t piece = 1) {
  ToolLineParser parser;
  Message message;
  for (std::size_t at = 0; at < text.size(); at += piece) message.add(parser.feed(text.substr(at, piece)));
  message.add(parser.finish());
  EXPECT_EQ(parser.calls(), message.calls.size());
  return message;
}

TEST(ToolLineParser, TellsTheNameFirstAndThenEachPieceOfTheArguments) {
  ToolLineParser parser;
  EXPECT_TRUE(parser.feed("<tool_call>").empty());
  EXPECT_TRUE(parser.feed("{\"name\": \"weat").empty());
  const ChatDelta named = parser.feed("her\", ");
  ASSERT_EQ(named.tool_calls.size(), 1U);
  EXPECT_EQ(named.tool_calls[0].name, "weather");
  EXPECT_EQ(named.tool_calls[0].arguments, "");
  EXPECT_TRUE(parser.feed("\"arguments\": ").empty());
  const ChatDelta piece = parser.feed("{\"city\": \"Os");
  ASSERT_EQ(piece.tool_calls.size(), 1U);
  EXPECT_EQ(piece.tool_calls[0].id, "");
  EXPECT_EQ(piece.tool_calls[0].arguments, "{\"city\":\"Os");
  EXPECT_EQ(parser.feed("lo\"}}").tool_calls[0].arguments, "lo\"}");
  EXPECT_TRUE(parser.feed("</tool_call>").empty());
  EXPECT_TRUE(parser.finish().empty());
}

TEST(ToolLineParser, ReadsWhatTheModelWroteHoweverItIsCut) {
  const struct {
    const char* name;
    const char* text;
    const char* content;
    std::vector<std::pair<const char*, const char*>> calls;
  } kCases[] = {
      {"text alone", "It <b>rains</b>.", "It <b>rains</b>.", {}},
      {"text before a call",
       R"(Let me see. <tool_call>{"name": "f", "arguments": {"a": [1, {"b": "x y"}]}}</tool_call>)",
       "Let me see. ",
       {{"f", R"({"a":[1,{"b":"x y"}]})"}}},
      {"two calls",
       "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{\"b\":2}}\n"
       "</tool_call>",
       "",
       {{"f", "{}"}, {"g", R"({"b":2})"}}},
      {"text after a call", R"(<tool_call>{"name":"f","arguments":{}}</tool_call> then)", "then", {{"f", "{}"}}},
      {"markers and braces inside a string",
       R"(<tool_call>{"name":"f","arguments":{"a":"</tool_call> } \" \\"}}</tool_call>)",
       "",
       {{"f", R"({"a":"</tool_call> } \" \\"})"}}},
      {"no arguments", R"(<tool_call>{"name": "f" }</tool_call>)", "", {{"f", "{}"}}},
      {"arguments that are no object",
       R"(<tool_call>{"name":"f","arguments": "x" }</tool_call>)",
       "",
       {{"f", "\"x\""}}},
      {"cut in the arguments", R"(<tool_call>{"name":"f","arguments":{"a":"b)", "", {{"f", R"({"a":"b)"}}},
      {"cut in the name", R"(<tool_call>{"name":"f)", R"(<tool_call>{"name":"f)", {}},
      {"cut in the marker", "a <tool_ca", "a <tool_ca", {}},
      {"no call inside", "<tool_call>hello</tool_call> you", "<tool_call>hello</tool_call>you", {}},
  };
  for (const auto& test : kCases) {
    const std::string text{test.text};
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      SCOPED_TRACE(testing::Message() << test.name << ", pieces of " << piece);
      const Message message = read(text, piece);
      ASSERT_EQ(message.content, test.content);
      ASSERT_EQ(message.calls.size(), test.calls.size());
      for (std::size_t i = 0; i < test.calls.size(); ++i) {
        EXPECT_EQ(message.calls[i].name, test.calls[i].first);
        EXPECT_EQ(message.calls[i].arguments, test.calls[i].second);
      }
    }
  }
}

TEST(ToolLineParser, HoldsBackNothingOfTheArguments) {
  const std::string arguments = R"({"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})";
  const Message message = read("<tool_call>{\"name\":\"f\",\"arguments\":" + arguments + "}</tool_call>");
  ASSERT_EQ(message.calls.size(), 1U);
  EXPECT_EQ(message.calls[0].arguments, arguments);
  EXPECT_EQ(message.pieces, arguments.size()) << "one a piece of text";
}

/// Whatever comes: no crash, and as long as there is no call, all of it is content.
TEST(ToolLineParser, TakesAnyText) {
  const std::vector<std::string> parts{"<tool_call>", "</tool_call>",  "{", "}", "\"name\"", ":", "\"f\"",
                                       ",",           "\"arguments\"", " ", "x", "\\",       "[", "]"};
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    std::string text;
    for (std::uint64_t i = rng.below(40); i > 0; --i) text += parts[rng.below(parts.size())];
    const Message whole = read(text, std::max<std::size_t>(1, text.size()));
    const Message cut = read(text, 1 + rng.below(4));
    EXPECT_EQ(cut.content, whole.content);
    ASSERT_EQ(cut.calls.size(), whole.calls.size());
    for (std::size_t i = 0; i < cut.calls.size(); ++i) EXPECT_EQ(cut.calls[i].arguments, whole.calls[i].arguments);
    if (text.find("<tool_call>") == std::string::npos) {
      EXPECT_EQ(whole.content, text);
    }
  }
}

TEST(ToolLineGrammar, FindsWhatParametersReferTo) {
  const auto gbnf = tool_line_grammar(R"([
      {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"$ref":"#/$defs/A"}},
       "required":["x"],"$defs":{"A":{"enum":["left"]}}}}},
      {"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{"x":{"$ref":"#/$defs/A"}},
       "required":["x"],"$defs":{"A":{"enum":["right"]}}}}}])",
                                      {});
  ASSERT_TRUE(gbnf) << gbnf.error().to_string();
  EXPECT_NE(gbnf->find("left"), std::string::npos);
  EXPECT_NE(gbnf->find("right"), std::string::npos);
}

}  // namespace
}  // namespace llmd::llamacpp
