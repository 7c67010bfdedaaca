#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/generation_request.h"
#include "api/openai/token_prompt.h"
#include "base/error.h"

namespace llmd::openai {

/// POST /v1/completions. The default of max_tokens is 16, as OpenAI's.
struct CompletionRequest {
  GenerationRequest generation;      // max_tokens may be 0 with echo: nothing is generated then
  std::vector<TokenPrompt> prompts;  // not empty
  std::string suffix;                // not empty: fill in the middle
  bool echo = false;
};

/// Errors as parse_chat_completion.
[[nodiscard]] Result<CompletionRequest> parse_completion(std::string_view body);

}  // namespace llmd::openai
