#include "simulation/workloads/lengths.h"

#include <algorithm>
#include <cmath>

#include "simulation/workloads/draws.h"

namespace llmd::simulation {
namespace {

constexpr double kSecondsMax = 100 * 365.25 * 86'400;

}  // namespace

double LogNormal::draw(Rng& rng) const noexcept {
  const double value = median * std::exp(sigma * draw_normal(rng));
  return std::max(min, std::min(value, max));  // not std::clamp, which wants min <= max
}

std::uint32_t draw_tokens(const LogNormal& tokens, Rng& rng) noexcept {
  const double drawn = std::round(tokens.draw(rng));
  return static_cast<std::uint32_t>(std::max(1.0, std::min(drawn, double{kTextTokensMax})));
}

Duration draw_time(const LogNormal& seconds, Rng& rng) noexcept { return from_seconds(seconds.draw(rng)); }

Duration from_seconds(double seconds) noexcept {
  const double bounded = std::max(0.0, std::min(seconds, kSecondsMax));
  return Duration{std::llround(bounded * static_cast<double>(Duration::period::den))};
}

}  // namespace llmd::simulation
