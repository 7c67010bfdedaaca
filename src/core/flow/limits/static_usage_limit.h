#pragma once

#include "flow/limits/usage_limit_policy.h"

namespace llmd::flow {

/// static-usage-limit-policy: one ceiling for all bands.
class StaticUsageLimit final : public UsageLimitPolicy {
 public:
  explicit StaticUsageLimit(float threshold) noexcept : threshold_{threshold} {}
  void ceilings(float saturation, std::span<const std::int32_t> priorities, std::span<float> out) noexcept override;

 private:
  float threshold_;
};

}  // namespace llmd::flow
