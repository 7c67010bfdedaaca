#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/generation_request.h"
#include "base/error.h"

namespace llmd::openai {

enum class ToolChoice : std::uint8_t { kAuto, kNone, kRequired, kFunction };

/// The part of a chat request that becomes the prompt: what a chat template needs. /tokenize takes the same fields.
struct ChatPrompt {
  std::string messages_json;  // array; unknown message fields dropped, "developer" written as "system"
  std::string tools_json;     // array, or empty
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name;  // with kFunction: one of the tools
  bool parallel_tool_calls = false;
  bool add_generation_prompt = true;
  /// With continue_final_message: the text of the last message, which the model goes on with. The message itself is
  /// then not in messages_json.
  std::optional<std::string> continued_text;
  std::string template_kwargs_json;  // object, or empty
};

struct ChatCompletionRequest {
  GenerationRequest generation;
  ChatPrompt prompt;
};

/// POST /v1/chat/completions. Errors: kInvalidJson, kBodyTooLarge, kInvalidRequest and kUnsupported, the last two with
/// `param`.
[[nodiscard]] Result<ChatCompletionRequest> parse_chat_completion(std::string_view body);

}  // namespace llmd::openai
