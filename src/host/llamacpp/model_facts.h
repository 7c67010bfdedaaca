#pragma once

#include <cstdint>
#include <string>

#include "llamacpp/model.h"

namespace llmd::llamacpp {

/// What the memory of a context depends on.
struct ModelFacts {
  std::uint64_t weights_bytes = 0;         // in the file
  std::uint64_t packed_bytes = 0;          // that a model which packs its weights holds as tiles
  std::uint64_t mapped_bytes = 0;          // and what it then still reads from the file
  std::uint64_t kv_bytes_per_token = 0;    // all layers, K and V in 16 bits
  std::uint64_t state_bytes_per_slot = 0;  // recurrent layers: does not grow with tokens
  std::uint32_t heads_max = 0;             // attention heads of the widest layer
  std::uint32_t vocabulary = 0;
  std::uint32_t activation_width = 0;  // widest row of activations, floats
  std::uint32_t context_tokens = 0;    // trained context
  bool plain_kv = false;               // one KV cache whose cells stay: blocks can be reused
  bool has_pooling = false;            // the file says how embeddings are pooled
  bool causal = true;
  bool generates = true;  // false: embeddings only
  bool operator==(const ModelFacts&) const = default;
};

[[nodiscard]] ModelFacts model_facts(const Model& model);
/// The same, for a model that packs its weights, without loading them: some ten milliseconds for a small vocabulary.
/// Errors: as Model::load.
[[nodiscard]] Result<ModelFacts> read_model_facts(const std::string& path);

/// Build of llama.cpp (version, patches, compiler, flags) and the instruction sets that it uses here: the same tokens
/// may give other bits elsewhere.
[[nodiscard]] std::string build_signature();

}  // namespace llmd::llamacpp
