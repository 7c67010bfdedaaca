#pragma once

#include <cstdint>
#include <span>

namespace llmd::flow {

/// From which saturation on each band waits. Not thread-safe: some count how often they are asked.
class UsageLimitPolicy {
 public:
  UsageLimitPolicy() = default;
  UsageLimitPolicy(const UsageLimitPolicy&) = delete;
  UsageLimitPolicy& operator=(const UsageLimitPolicy&) = delete;
  virtual ~UsageLimitPolicy() = default;

  /// Asked once a dispatch. Sets the ceiling of each band: it is open while the saturation is below. `priorities`
  /// descend; a lower band's ceiling is never above a higher one's. Pre: the spans are equally long.
  virtual void ceilings(float saturation, std::span<const std::int32_t> priorities, std::span<float> out) noexcept = 0;
};

}  // namespace llmd::flow
