#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/openai/answer.h"

namespace llmd::openai {

/// Appends the list that /v1/embeddings answers with; with `base64` each vector as little-endian floats in base64.
struct EmbeddingAnswer {
  std::string_view model;
  std::span<const std::vector<float>> vectors;
  bool base64 = false;
  std::uint32_t prompt_tokens = 0;
};
void append_embeddings(std::string& out, const EmbeddingAnswer& answer);

}  // namespace llmd::openai
