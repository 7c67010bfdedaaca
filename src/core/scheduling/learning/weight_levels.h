#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace llmd::scheduling {

/// Scorers of a profile whose weights are learned: a longer profile is refused.
inline constexpr std::size_t kLearnedScorersMax = 8;

/// An arm: for each scorer how far its weight is from the configured one, in steps. All 0: the configured weights.
using WeightLevels = std::array<std::int8_t, kLearnedScorersMax>;

/// Steps to the bound on either side.
inline constexpr std::int8_t kLevelMax = 2;

/// What a configured weight is multiplied by: `bound` at kLevelMax, 1 / bound at -kLevelMax.
[[nodiscard]] inline float weight_factor(std::int8_t level, float bound) noexcept {
  return std::pow(bound, static_cast<float>(level) / static_cast<float>(kLevelMax));
}

}  // namespace llmd::scheduling
