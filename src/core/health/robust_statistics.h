#pragma once

#include <cstdint>
#include <span>

namespace llmd::health {

/// The middle value, of an even number the mean of both. Reorders. Pre: not empty. O(n).
[[nodiscard]] float median(std::span<float> values) noexcept;

/// Where values lie and how far apart, whatever a minority of them is.
struct RobustSpread {
  float centre = 0;     // median
  float deviation = 0;  // median distance from it, times 1.4826: the standard deviation, were they normal
};
/// Overwrites. Pre: not empty. O(n).
[[nodiscard]] RobustSpread robust_spread(std::span<float> values) noexcept;

/// At least the chance that `hits` of `trials` or more happen if each has this probability (Chernoff's bound). 1 if
/// they are no more than to be expected.
[[nodiscard]] double binomial_tail_bound(std::uint32_t hits, std::uint32_t trials, double probability) noexcept;

}  // namespace llmd::health
