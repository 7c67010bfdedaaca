#include "simulation/weight_reads.h"

#include <algorithm>

namespace llmd::simulation {

std::uint32_t weight_reads(std::span<SlotRows> rows, std::uint32_t rows_max, double rows_hiding) noexcept {
  std::uint32_t reads = 0;
  for (std::size_t first = 0; first < rows.size();) {
    if (rows[first].rows == 0) {
      ++first;
      continue;
    }
    std::size_t end = first + 1;
    std::uint32_t shortest = rows[first].rows;
    while (end < rows.size() && rows[end].rows > 0 && rows[end].slot == rows[end - 1].slot + 1) {
      shortest = std::min(shortest, rows[end].rows);
      ++end;
    }
    const auto slots = static_cast<std::uint32_t>(end - first);
    const std::uint32_t each = std::min(shortest, std::max(1U, rows_max / slots));
    for (std::size_t i = first; i < end; ++i) rows[i].rows -= each;
    if (each * slots < rows_hiding) ++reads;
  }
  return reads;
}

}  // namespace llmd::simulation
