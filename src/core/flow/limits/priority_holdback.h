#pragma once

#include "flow/limits/usage_limit_policy.h"

namespace llmd::flow {

/// priority-holdback-policy: the highest band has the highest ceiling, the lowest the lowest, those between lie on the
/// line by their rank or by their priority's value. A single band has the highest.
class PriorityHoldback final : public UsageLimitPolicy {
 public:
  enum class Domain : std::uint8_t { kRank, kValue };
  struct Options {
    float ceiling_min = 0;
    float ceiling_max = 1;
    Domain domain = Domain::kRank;
  };
  explicit PriorityHoldback(Options options) noexcept : options_{options} {}
  void ceilings(float saturation, std::span<const std::int32_t> priorities, std::span<float> out) noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::flow
