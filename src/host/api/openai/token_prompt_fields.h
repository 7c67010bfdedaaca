#pragma once

#include "api/openai/field.h"
#include "api/openai/token_prompt.h"

namespace llmd::openai {

/// Internal: a string, an array of strings, an array of token ids, or an array of arrays of ids. Never empty.
[[nodiscard]] Result<std::vector<TokenPrompt>> read_token_prompts(std::string_view field, Element value);
[[nodiscard]] Result<std::vector<TokenId>> read_token_ids(std::string_view field, Array ids);

}  // namespace llmd::openai
