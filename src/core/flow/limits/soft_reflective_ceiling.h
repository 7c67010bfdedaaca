#pragma once

#include "flow/limits/usage_limit_policy.h"

namespace llmd::flow {

/// soft-reflective-ceiling-policy: the highest of n bands may go to saturation 1. The i-th below it (i from 1) is open
/// below 1 - i * saturation / (n - 1); above that it is closed at saturation 1 and open one time in
/// round(saturation / (1 - saturation)) otherwise, all such bands at the same times.
class SoftReflectiveCeiling final : public UsageLimitPolicy {
 public:
  void ceilings(float saturation, std::span<const std::int32_t> priorities, std::span<float> out) noexcept override;

 private:
  std::uint64_t asked_ = 0;  // while a band was between open and closed
};

}  // namespace llmd::flow
