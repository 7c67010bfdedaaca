#include "simulation/llama_batches.h"

#include <algorithm>

namespace llmd::simulation {

LlamaBatches llama_batches(std::span<SlotRows> rows, std::uint32_t rows_max, double rows_hiding) noexcept {
  LlamaBatches batches;
  for (std::size_t begin = 0; begin < rows.size();) {
    if (rows[begin].rows == 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin + 1;
    std::uint32_t shortest = rows[begin].rows;
    while (end < rows.size() && rows[end].rows > 0 && rows[end].slot == rows[end - 1].slot + 1) {
      shortest = std::min(shortest, rows[end].rows);
      ++end;
    }
    const auto slots = static_cast<std::uint32_t>(end - begin);
    const std::uint32_t each = std::min(shortest, std::max(1U, rows_max / slots));
    std::uint32_t tokens = 0;
    for (SlotRows& slot : rows.subspan(begin, slots)) {
      slot.rows -= each;
      slot.first += each;
      tokens = std::max(tokens, slot.first);
    }
    for (const SlotRows& slot : rows.subspan(begin, slots))
      batches.decode_kilotokens += slot.decodes ? each * (tokens / 1'000.0) : 0.0;
    if (each * slots < rows_hiding) ++batches.weight_reads;
  }
  return batches;
}

}  // namespace llmd::simulation
