#include "flow/limits/static_usage_limit.h"

#include <algorithm>

namespace llmd::flow {

void StaticUsageLimit::ceilings(float /*saturation*/, std::span<const std::int32_t> /*priorities*/,
                                std::span<float> out) noexcept {
  std::ranges::fill(out, threshold_);
}

}  // namespace llmd::flow
