#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace llmd::openai {

/// The answer of /tokenize: {"count","max_model_len","tokens","token_strs"}.
struct TokenizeAnswer {
  std::span<const TokenId> tokens;
  std::uint32_t context_tokens = 0;
  bool with_strings = false;
  std::span<const std::string> strings;  // with `with_strings`: one a token
};
void append_tokenized(std::string& out, const TokenizeAnswer& answer);

/// The answer of /detokenize: {"prompt"}.
void append_detokenized(std::string& out, std::string_view text);

}  // namespace llmd::openai
