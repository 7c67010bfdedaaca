#include "flow/limits/priority_holdback.h"

#include <cstddef>

namespace llmd::flow {

void PriorityHoldback::ceilings(float /*saturation*/, std::span<const std::int32_t> priorities,
                                std::span<float> out) noexcept {
  const double range = priorities.empty() ? 0 : static_cast<double>(priorities.front()) - priorities.back();
  for (std::size_t i = 0; i < out.size(); ++i) {
    double below = 0;  // 0: the highest, 1: the lowest
    if (range > 0 && options_.domain == Domain::kRank) {
      below = static_cast<double>(i) / static_cast<double>(out.size() - 1);
    } else if (range > 0) {
      below = (static_cast<double>(priorities.front()) - priorities[i]) / range;
    }
    out[i] = options_.ceiling_max - static_cast<float>(below) * (options_.ceiling_max - options_.ceiling_min);
  }
}

}  // namespace llmd::flow
