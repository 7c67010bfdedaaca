#include "flow/limits/soft_reflective_ceiling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace llmd::flow {

void SoftReflectiveCeiling::ceilings(float saturation, std::span<const std::int32_t> /*priorities*/,
                                     std::span<float> out) noexcept {
  if (out.empty()) return;
  out[0] = 1;
  if (out.size() == 1) return;
  bool open = false;
  if (saturation >= 1 - saturation && saturation < 1) {
    const double period = std::max(1.0, std::round(saturation / (1.0 - saturation)));
    open = ++asked_ % static_cast<std::uint64_t>(period) == 0;
  }
  for (std::size_t i = 1; i < out.size(); ++i) {
    const float below = static_cast<float>(i) / static_cast<float>(out.size() - 1);
    out[i] = saturation < 1 - below * saturation || open ? 1.0F : 0.0F;
  }
}

}  // namespace llmd::flow
