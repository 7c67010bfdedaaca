#pragma once

#include <chrono>

#include "base/clock.h"

namespace llmd::simulation {

/// Pre: the value fits a Duration.
[[nodiscard]] constexpr Duration to_duration(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace llmd::simulation
