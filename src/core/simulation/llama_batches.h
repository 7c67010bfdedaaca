#pragma once

#include <cstdint>
#include <span>

namespace llmd::simulation {

/// What a step computes in one slot.
struct SlotRows {
  std::uint32_t slot = 0;
  std::uint32_t rows = 0;   // tokens
  std::uint32_t first = 0;  // tokens before them
  bool decodes = false;     // or computes its prompt
};

/// What llama.cpp does for the rows of a step.
struct LlamaBatches {
  std::uint32_t weight_reads = 0;
  double decode_kilotokens = 0;  // rows that decode, each times the thousands of tokens that it attends to
};

/// The batches that llama.cpp makes of these rows, of one context whose sequences have KV of their own and no flash
/// attention. A batch has slots that follow each other, with as many rows of each as the shortest has, at most
/// `rows_max` together, and it goes on with what is left (llama_batch_allocr::split_equal, sequential). Each waits for
/// the weights, but one of at least `rows_hiding` rows computes for longer than that. All its rows attend to as many
/// cells as the fullest of its slots has (llama_kv_cache::get_n_kv; both of llama.cpp as in llama-cpp-python 0.3.36).
/// `rows` is used up. Pre: by slot, no slot twice. O(batches * slots).
[[nodiscard]] LlamaBatches llama_batches(std::span<SlotRows> rows, std::uint32_t rows_max, double rows_hiding) noexcept;

}  // namespace llmd::simulation
