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

}  // namespace llmd::scheduling
