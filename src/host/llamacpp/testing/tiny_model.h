#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace llmd::llamacpp::testing {

/// Kinds of models that the default model is not.
enum class TinyKind : std::uint8_t {
  kRecurrent,      // Mamba: state instead of KV
  kSlidingWindow,  // Gemma 2: every second layer sees 64 tokens
  kEmbedding,      // BERT: no generation, mean pooling
};

/// Writes a GGUF with random weights and the vocabulary of another one: 2 layers, 32 wide, 512 tokens of context. Its
/// output means nothing, but it takes every path that such a model takes. For tests only. Errors: kFileInvalid, kIo.
[[nodiscard]] Result<void> write_tiny_model(TinyKind kind, const std::string& vocabulary_from, const std::string& path);

}  // namespace llmd::llamacpp::testing
