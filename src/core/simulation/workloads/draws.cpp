#include "simulation/workloads/draws.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace llmd::simulation {
namespace {

/// Uniform in (0, 1]: its logarithm is finite.
double draw_positive(Rng& rng) noexcept { return 1.0 - rng.uniform(); }

}  // namespace

double draw_normal(Rng& rng) noexcept {
  // The sine would give a second draw; leaving it keeps the function free of state.
  const double radius = std::sqrt(-2.0 * std::log(draw_positive(rng)));
  return radius * std::cos(2.0 * std::numbers::pi * rng.uniform());
}

double draw_exponential(Rng& rng) noexcept { return -std::log(draw_positive(rng)); }

double draw_gamma(double shape, Rng& rng) noexcept {
  if (shape < 1) {
    const double whole = draw_gamma(shape + 1, rng);
    return whole * std::pow(draw_positive(rng), 1 / shape);
  }
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  while (true) {  // accepts more than 95% of its tries for every shape
    const double x = draw_normal(rng);
    const double root = 1.0 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(draw_positive(rng)) < 0.5 * x * x + d * (1.0 - v + std::log(v))) return d * v;
  }
}

std::uint32_t Geometric::draw(Rng& rng) const noexcept {
  if (!(mean > 1) || max <= 1) return 1;
  const double failures = std::floor(std::log(draw_positive(rng)) / std::log1p(-1.0 / mean));
  return failures < max - 1.0 ? 1 + static_cast<std::uint32_t>(failures) : max;
}

double Geometric::cut_mean() const noexcept {
  if (!(mean > 1) || max <= 1) return 1;
  return mean * -std::expm1(max * std::log1p(-1.0 / mean));
}

ZipfDraw::ZipfDraw(std::uint32_t count, double exponent) {
  cumulated_.reserve(std::max(count, 1U));
  double sum = 0;
  for (std::uint32_t rank = 0; rank < std::max(count, 1U); ++rank) {
    sum += std::pow(rank + 1.0, -exponent);
    cumulated_.push_back(sum);
  }
}

std::uint32_t ZipfDraw::draw(Rng& rng) const noexcept {
  const auto found = std::ranges::upper_bound(cumulated_, rng.uniform() * cumulated_.back());
  // The product may round up to the sum itself.
  const auto rank = static_cast<std::size_t>(found - cumulated_.begin());
  return static_cast<std::uint32_t>(std::min(rank, cumulated_.size() - 1));
}

}  // namespace llmd::simulation
