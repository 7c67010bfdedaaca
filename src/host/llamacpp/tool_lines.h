#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llamacpp/chat_template.h"
#include "llamacpp/tool_call_reader.h"

namespace llmd::llamacpp {

/// Tool calls for models whose chat template knows none: the tools are described in the system message, and the model
/// writes <tool_call>{"name": ..., "arguments": {...}}</tool_call>. With tool_choice required or a named function a
/// grammar allows nothing else, so that any model obeys.
inline constexpr std::string_view kToolCallOpen = "<tool_call>";
inline constexpr std::string_view kToolCallClose = "</tool_call>";

/// The messages with the tools described, earlier calls written in this format, and tool results as user messages.
/// Pre: both are valid JSON arrays. Error kInvalidRequest.
[[nodiscard]] Result<std::string> describe_tools(const std::string& messages_json, const std::string& tools_json);

struct ToolGrammarOptions {
  bool lazy = false;      // text is allowed until <tool_call>
  bool parallel = false;  // more than one call
};
/// GBNF for calls of these tools. Errors: kInvalidRequest, kInvalidGrammar.
[[nodiscard]] Result<std::string> tool_line_grammar(const std::string& tools_json, ToolGrammarOptions options);

/// Reads the format from a stream. A call is reported as it comes: its name and a fresh id once the name is whole, then
/// its arguments piece by piece.
class ToolLineParser {
 public:
  [[nodiscard]] ChatDelta feed(std::string_view text);
  [[nodiscard]] ChatDelta finish();
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }

 private:
  [[nodiscard]] bool read_text(ChatDelta& delta);
  [[nodiscard]] bool read_call(ChatDelta& delta);
  [[nodiscard]] bool close_call(ChatDelta& delta);
  std::string pending_;
  std::optional<ToolCallReader> call_;  // the one that is open
  bool after_call_ = false;             // white space between calls is no content
  std::size_t calls_ = 0;
};

/// A fresh id for a tool call: "call_" and 24 characters.
[[nodiscard]] std::string new_tool_call_id();

}  // namespace llmd::llamacpp
