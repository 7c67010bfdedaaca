#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Moves the candidates that `wanted` keeps to the front, in their order, and returns how many.
template <class Wanted>
[[nodiscard]] std::size_t keep_if(std::span<EndpointIndex> candidates, Wanted&& wanted) noexcept {
  const auto end = std::remove_if(candidates.begin(), candidates.end(), [&](EndpointIndex i) { return !wanted(i); });
  return static_cast<std::size_t>(end - candidates.begin());
}

/// The same, but keeps all candidates, as they were, if `wanted` keeps none.
template <class Wanted>
[[nodiscard]] std::size_t keep_if_any(std::span<EndpointIndex> candidates, Wanted&& wanted) noexcept {
  std::size_t kept = 0;
  for (const EndpointIndex i : candidates) {
    if (wanted(i)) candidates[kept++] = i;
  }
  return kept == 0 ? candidates.size() : kept;
}

}  // namespace llmd::scheduling
