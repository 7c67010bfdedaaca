#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/rng.h"

namespace llmd::simulation {

/// When requests come. Values out of range count as the nearest in it.
struct ArrivalOptions {
  double rate_per_s = 1;  // mean over a day; 1e-6 to 1e9
  /// Coefficient of variation of the gaps, 0.1 to 20. 1: Poisson. Above: gamma gaps, so bursts with long pauses; below:
  /// nearly a beat.
  double variation = 1;
  double day_swing = 0;                   // 0 to 1: the share of the mean by which the rate rises and falls in a day
  Duration day = std::chrono::hours{24};  // period of the swing, at least 1 s; it begins at the mean, rising
};

/// With every value in its range; NaN becomes the lowest.
[[nodiscard]] ArrivalOptions in_range(ArrivalOptions options) noexcept;

/// The same with this share of the rate.
[[nodiscard]] ArrivalOptions with_share(ArrivalOptions options, double share) noexcept;

/// A renewal process with gamma gaps at the day's highest rate, thinned to the rate of the hour (Lewis, Shedler,
/// "Simulation of nonhomogeneous Poisson processes by thinning", 1979). Exact for Poisson. Thinning tames bursts: where
/// a share p is kept, the square of the variation becomes p variation^2 + 1 - p. Not thread-safe; O(1).
class ArrivalProcess {
 public:
  ArrivalProcess(const ArrivalOptions& options, std::uint64_t seed) noexcept;

  /// Since the start. Never before the last.
  [[nodiscard]] Duration next() noexcept;

 private:
  [[nodiscard]] double gap() noexcept;
  [[nodiscard]] double kept_share() const noexcept;

  Rng rng_;
  double peak_per_s_ = 1;
  double shape_ = 1;  // of the gaps' gamma
  double swing_ = 0;
  double day_s_ = 1;
  double now_s_ = 0;
};

}  // namespace llmd::simulation
