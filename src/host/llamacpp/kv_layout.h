#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

struct ggml_tensor;
struct llama_context;

namespace llmd::llamacpp {

/// One layer's K or V in a context's buffers. Internal to this module.
struct KvTensor {
  ggml_tensor* tensor = nullptr;  // of all streams
  std::size_t stream_bytes = 0;   // from one stream to the next
  std::size_t first_byte = 0;     // where stream 0 begins
  std::int32_t type = 0;          // ggml_type, as llama.cpp writes it
  std::size_t row_bytes = 0;      // one cell; transposed: one element
  std::uint32_t values = 0;       // transposed: elements a cell, each in a row of its own
  std::size_t value_stride = 0;   // transposed: bytes from one value's row to the next
};

/// How llama.cpp lays the KV of a stream out. In a stream of ours the cell index is the position.
struct KvLayout {
  std::uint32_t streams = 0;
  bool v_transposed = false;
  std::vector<KvTensor> k;
  std::vector<KvTensor> v;  // fewer than k if a layer has none

  [[nodiscard]] std::size_t bytes_per_token() const noexcept;
  /// What equal blocks need beside equal weights: types, sizes, transposition. Part of the blocks' fingerprint.
  [[nodiscard]] std::string signature() const;
};

/// Finds the layout by letting llama.cpp write the state of stream 0, and checks every assumption of this module.
/// Pre: stream 0 holds exactly one token, at position 0. Error kUnsupported: this model's memory is not a plain KV
/// cache.
[[nodiscard]] Result<KvLayout> discover_kv_layout(llama_context* context);

}  // namespace llmd::llamacpp
