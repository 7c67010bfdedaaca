#include "simulation/workloads/arrivals.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "simulation/workloads/draws.h"
#include "simulation/workloads/lengths.h"

namespace llmd::simulation {
namespace {

/// NaN becomes `low`.
double bounded(double value, double low, double high) noexcept { return std::max(low, std::min(value, high)); }

}  // namespace

ArrivalOptions in_range(ArrivalOptions options) noexcept {
  options.rate_per_s = bounded(options.rate_per_s, 1e-6, 1e9);
  options.variation = bounded(options.variation, 0.1, 20);
  options.day_swing = bounded(options.day_swing, 0, 1);
  options.day = std::max<Duration>(options.day, seconds{1});
  return options;
}

ArrivalOptions with_share(ArrivalOptions options, double share) noexcept {
  options.rate_per_s *= share;
  return options;
}

ArrivalProcess::ArrivalProcess(const ArrivalOptions& options, std::uint64_t seed) noexcept : rng_{seed} {
  const ArrivalOptions valid = in_range(options);
  shape_ = 1 / (valid.variation * valid.variation);
  swing_ = valid.day_swing;
  peak_per_s_ = valid.rate_per_s * (1 + swing_);
  day_s_ = to_seconds(valid.day);
}

double ArrivalProcess::gap() noexcept {
  const double unit = shape_ == 1 ? draw_exponential(rng_) : draw_gamma(shape_, rng_) / shape_;
  return unit / peak_per_s_;
}

double ArrivalProcess::kept_share() const noexcept {
  return (1 + swing_ * std::sin(2 * std::numbers::pi * now_s_ / day_s_)) / (1 + swing_);
}

Duration ArrivalProcess::next() noexcept {
  do {
    now_s_ += gap();
  } while (swing_ > 0 && !rng_.chance(kept_share()));
  return from_seconds(now_s_);
}

}  // namespace llmd::simulation
