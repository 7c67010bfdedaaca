#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <span>

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// The signal, if it was told, is not too old, and is a finite number of at least 0. Engines report NaN and worse,
/// which counts as not told.
[[nodiscard]] inline std::optional<float> usable_signal(const PluginInput& input, EndpointIndex i,
                                                        Signal signal) noexcept {
  const std::optional<float> value = input.signal(i, signal);
  if (!value || !std::isfinite(*value) || *value < 0) return std::nullopt;
  return *value;  // as in PluginInput::fresh()
}

/// `score_of(value)` for candidates that tell the signal, kNoData for the others.
template <class ScoreOf>
void score_signal(const PluginInput& input, std::span<const EndpointIndex> candidates, std::span<float> scores,
                  Signal signal, ScoreOf&& score_of) noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> value = usable_signal(input, candidates[c], signal);
    scores[c] = value ? score_of(*value) : kNoData;
  }
}

/// Less is better, without an end: 1 at 0, 0.5 at `half`, towards 0 beyond. Pre: half > 0.
[[nodiscard]] constexpr float falling_score(float value, float half) noexcept { return half / (half + value); }

}  // namespace llmd::scheduling
