#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "llamacpp/kv_layout.h"

namespace llmd::llamacpp {

/// Token ranges between a context's buffers and blocks. A block of n tokens is, layer by layer: K rows (n x row bytes),
/// V (transposed: values x n elements; else rows). Internal to this module.
void export_kv(const KvLayout& layout, std::uint32_t stream, std::uint32_t first, std::uint32_t count,
               std::span<std::byte> out);

struct ImportShape {
  std::uint32_t slot = 0;
  std::uint32_t block_tokens = 0;
};
/// Drives llama.cpp's state_read with a header of our own; the tensors' bytes go straight to their place.
/// Error kInternal: llama.cpp chose other cells, or refused; the slot is empty then.
[[nodiscard]] Result<void> import_kv(llama_context* context, const KvLayout& layout, ImportShape shape,
                                     std::span<const std::span<const std::byte>> blocks);

/// Whether cells [first, first + count) of the stream hold these positions.
[[nodiscard]] bool cells_in_place(llama_context* context, std::uint32_t stream, std::uint32_t first,
                                  std::uint32_t count);

}  // namespace llmd::llamacpp
