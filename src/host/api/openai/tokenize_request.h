#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/chat_request.h"
#include "base/error.h"
#include "base/ids.h"

namespace llmd::openai {

/// POST /tokenize in vLLM's form: a prompt, or messages that the chat template renders first.
struct TokenizeRequest {
  std::string model;  // empty: the server's first model
  std::string text;
  std::optional<ChatPrompt> chat;          // given: `text` is empty
  std::optional<bool> add_special_tokens;  // default: true for a prompt, what the template says for messages
  bool return_token_strs = false;
};

/// POST /detokenize.
struct DetokenizeRequest {
  std::string model;
  std::vector<TokenId> tokens;
};

/// Errors as parse_chat_completion.
[[nodiscard]] Result<TokenizeRequest> parse_tokenize(std::string_view body);
[[nodiscard]] Result<DetokenizeRequest> parse_detokenize(std::string_view body);

}  // namespace llmd::openai
