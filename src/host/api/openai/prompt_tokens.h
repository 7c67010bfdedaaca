#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace llmd::openai {

/// A prompt that our gateway has tokenised, as it tells a worker of ours. The hash says of which text, so that a worker
/// takes tokens only for the very text that it would have tokenised itself.
struct PromptTokens {
  std::uint64_t text_hash = 0;
  std::vector<TokenId> tokens;
  friend bool operator==(const PromptTokens&, const PromptTokens&) = default;
};

/// The private field of a request's body that carries them, one entry a prompt in order: base64 of, for each, the hash
/// (8 bytes), the count (4) and the ids (4 each), little-endian. A field of design principle 8: the gateway removes a
/// client's.
inline constexpr std::string_view kPromptTokensField = "llmd_prompt_tokens";

[[nodiscard]] std::string encode_prompt_tokens(std::span<const PromptTokens> prompts);

/// Empty if the text is anything but what encode_prompt_tokens() writes. Ids are not checked against a vocabulary.
[[nodiscard]] std::vector<PromptTokens> decode_prompt_tokens(std::string_view field);

}  // namespace llmd::openai
