#pragma once

#include <algorithm>
#include <limits>
#include <span>

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Less is better, stretched over the candidates: (most - value) / (most - least), 1 for all if they are equal.
/// `value_of(endpoint)` gives an optional number of at least 0; those without score kNoData and do not stretch the
/// range.
template <class ValueOf>
void score_min_max(std::span<const EndpointIndex> candidates, std::span<float> scores, ValueOf&& value_of) noexcept {
  float least = std::numeric_limits<float>::max();
  float most = 0;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const auto value = value_of(candidates[c]);
    if (!value) {
      scores[c] = kNoData;
      continue;
    }
    const auto number = static_cast<float>(*value);
    scores[c] = number;
    least = std::min(least, number);
    most = std::max(most, number);
  }
  if (most > least) {
    for (float& score : scores) score = (most - score) / (most - least);  // kNoData stays kNoData
  } else {
    for (float& score : scores) score = score - least + 1;
  }
}

}  // namespace llmd::scheduling
