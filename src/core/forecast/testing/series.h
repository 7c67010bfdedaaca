#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <optional>
#include <vector>

#include "forecast/forecaster.h"

namespace llmd::forecast::testing {

/// A value for each step, nothing where it is missing.
using Course = std::function<std::optional<float>(std::uint32_t step)>;

/// 100 with a swing of 40 and this period.
inline Course sine(double period) {
  return [period](std::uint32_t step) {
    return static_cast<float>(100 + 40 * std::sin(2 * std::numbers::pi * step / period));
  };
}

/// Feeds one series, place 0, from step `from` on.
inline void feed(Forecaster& forecaster, const Course& course, std::uint32_t steps, std::uint32_t from = 0) {
  for (std::uint32_t step = from; step < from + steps; ++step) {
    const std::optional<float> value = course(step);
    forecaster.step({&value, 1});
  }
}

/// Feeds it and returns the mean absolute error of forecasts `ahead` steps over the last `judged` steps.
inline double error_of(Forecaster& forecaster, const Course& course, std::uint32_t steps, std::uint32_t ahead,
                       std::uint32_t judged) {
  double sum = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    feed(forecaster, course, 1, step);
    if (step + judged >= steps)
      sum += std::abs(static_cast<double>(forecaster.forecast(0, ahead)->mean - *course(step + ahead)));
  }
  return sum / judged;
}

}  // namespace llmd::forecast::testing
