#include "health/robust_statistics.h"

#include <algorithm>
#include <cmath>

namespace llmd::health {

float median(std::span<float> values) noexcept {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

RobustSpread robust_spread(std::span<float> values) noexcept {
  constexpr float kNormal = 1.4826F;
  const float centre = median(values);
  for (float& value : values) value = std::abs(value - centre);
  return {.centre = centre, .deviation = kNormal * median(values)};
}

double binomial_tail_bound(std::uint32_t hits, std::uint32_t trials, double probability) noexcept {
  if (trials == 0) return 1;
  const double share = static_cast<double>(hits) / trials;
  if (share <= probability) return 1;
  if (probability <= 0) return 0;
  // Kullback-Leibler divergence of what was seen from what is expected.
  double divergence = share * std::log(share / probability);
  if (share < 1) divergence += (1 - share) * std::log((1 - share) / (1 - probability));
  return std::exp(-divergence * trials);
}

}  // namespace llmd::health
