#pragma once

#include <cstdint>
#include <span>

namespace llmd::simulation {

/// What a step computes in one slot.
struct SlotRows {
  std::uint32_t slot = 0;
  std::uint32_t rows = 0;  // tokens
};

/// How often llama.cpp waits for the weights to be read when it computes these rows, of one context whose sequences
/// have KV of their own. It makes batches of slots that follow each other, with as many rows of each as the shortest
/// has, at most `rows_max` together, and goes on with what is left (llama_batch_allocr::split_equal, sequential;
/// llama.cpp of llama-cpp-python 0.3.36). Each reads the weights; a batch of at least `rows_hiding` computes for longer
/// than that. `rows` is used up. Pre: by slot, no slot twice. O(batches * slots).
[[nodiscard]] std::uint32_t weight_reads(std::span<SlotRows> rows, std::uint32_t rows_max, double rows_hiding) noexcept;

}  // namespace llmd::simulation
