#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/rng.h"

namespace llmd::simulation {

/// A lognormal, with what falls outside put on the nearer bound. The unit is the field's that holds it.
struct LogNormal {
  double median = 1;  // before the bounds
  double sigma = 0;   // standard deviation of the logarithm; 0: always the median
  double min = 0;
  double max = 0;  // below min: min is all there is

  [[nodiscard]] double draw(Rng& rng) const noexcept;
};

/// No text is longer, whatever the options say.
inline constexpr std::uint32_t kTextTokensMax = 1U << 22;

/// A length in tokens: rounded, 1 to kTextTokensMax.
[[nodiscard]] std::uint32_t draw_tokens(const LogNormal& tokens, Rng& rng) noexcept;

/// A time, the distribution's unit being seconds.
[[nodiscard]] Duration draw_time(const LogNormal& seconds, Rng& rng) noexcept;

/// To the nanosecond; negative numbers and NaN are 0, more than 100 years are 100 years.
[[nodiscard]] Duration from_seconds(double seconds) noexcept;

}  // namespace llmd::simulation
