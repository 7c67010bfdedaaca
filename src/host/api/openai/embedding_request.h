#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/token_prompt.h"
#include "base/error.h"

namespace llmd::openai {

/// POST /v1/embeddings.
struct EmbeddingRequest {
  std::string model;                // empty: the server's first model
  std::vector<TokenPrompt> inputs;  // not empty, and none of them is
  std::optional<std::uint32_t> dimensions;
  bool base64 = false;  // encoding_format: little-endian floats in base64 instead of a JSON array
  std::int32_t priority = 0;
  std::string user;
};

/// Errors as parse_chat_completion.
[[nodiscard]] Result<EmbeddingRequest> parse_embedding(std::string_view body);

}  // namespace llmd::openai
