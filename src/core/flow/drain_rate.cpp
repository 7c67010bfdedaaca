#include "flow/drain_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmd::flow {
namespace {

constexpr double kRetryAfterMin = 1;
constexpr double kRetryAfterMax = 60;

double kept(Duration passed) { return std::exp2(-to_seconds(passed) / to_seconds(DrainRate::kHalfLife)); }

}  // namespace

void DrainRate::note(TimePoint now, std::uint64_t requests) noexcept {
  if (weight_ == 0) first_ = last_ = now;
  weight_ = weight_ * kept(now - last_) + static_cast<double>(requests);
  last_ = now;
}

double DrainRate::per_second(TimePoint now) const noexcept {
  if (weight_ == 0) return 0;
  // A steady rate r weighs r * half-life / ln 2 after a long time, and the share 1 - 2^-(t / half-life) of it after t.
  constexpr Duration kShortest = milliseconds{100};
  const double seen = 1 - kept(std::max<Duration>(kShortest, now - first_));
  const double whole = to_seconds(kHalfLife) / std::numbers::ln2;
  return weight_ * kept(now - last_) / (whole * seen);
}

std::uint32_t retry_after_s(std::uint64_t ahead, double per_second) noexcept {
  if (!(per_second > 0)) return static_cast<std::uint32_t>(kRetryAfterMax);
  const double seconds = std::ceil(static_cast<double>(ahead) / per_second);
  return static_cast<std::uint32_t>(std::clamp(seconds, kRetryAfterMin, kRetryAfterMax));
}

}  // namespace llmd::flow
