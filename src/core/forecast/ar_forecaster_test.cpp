#include "forecast/ar_forecaster.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/last_value_forecaster.h"
#include "forecast/testing/series.h"

namespace llmd::forecast {
namespace {

using testing::Course;
using testing::error_of;

Course autoregression(float first, float second, float constant, float noise, std::uint32_t steps) {
  std::vector<float> values{50, 50};
  Rng rng{5};
  while (values.size() < steps) {
    const std::size_t n = values.size();
    const auto draw = static_cast<float>(rng.uniform() + rng.uniform() - 1);
    values.push_back(constant + first * values[n - 1] + second * values[n - 2] + noise * draw);
  }
  return [values](std::uint32_t step) { return values[step]; };
}

TEST(ArForecaster, FindsTheWeightsThatMadeTheSeries) {
  ArForecaster ar{1};
  testing::feed(ar, autoregression(1.2F, -0.5F, 30, 5, 4'000), 4'000);
  const auto weights = ar.weights(0);
  EXPECT_NEAR(weights[0], 1.2, 0.1);
  EXPECT_NEAR(weights[1], -0.5, 0.15);
  for (std::size_t i = 2; i < weights.size(); ++i) EXPECT_NEAR(weights[i], 0, 0.15) << i;
}

TEST(ArForecaster, ReturnsToTheMeanOfAStationarySeries) {
  const Course course = autoregression(1.2F, -0.5F, 30, 5, 4'010);
  ArForecaster ar{1};
  LastValueForecaster last{1};
  EXPECT_LT(error_of(ar, course, 4'000, 10, 3'000), 0.8 * error_of(last, course, 4'000, 10, 3'000));
  EXPECT_NEAR(ar.forecast(0, 10)->mean, 100, 5);
}

TEST(ArForecaster, GoesOnWithARampAndASine) {
  const auto ramp = [](std::uint32_t step) { return 10 + 2.0F * static_cast<float>(step); };
  ArForecaster on_ramp{1};
  EXPECT_LT(error_of(on_ramp, ramp, 400, 5, 100), 2);  // the last value is 10 away
  ArForecaster on_sine{1};
  EXPECT_LT(error_of(on_sine, testing::sine(30), 2'000, 5, 500), 5);  // it is 25 away on average
}

TEST(ArForecaster, DoesNotRunAwayAfterAnExplosion) {
  ArForecaster ar{1};
  float value = 1;
  testing::feed(ar, [&](std::uint32_t) { return value *= 1.3F; }, 60);
  testing::feed(ar, [](std::uint32_t) { return 1.0F; }, 300);
  EXPECT_LT(ar.forecast(0, 10)->mean, 100);
}

// Days of seconds: long constants teach nothing new, so what is known of the weights fades without bound if nothing
// holds it, and rounding adds up.
TEST(ArForecaster, KeepsItsWeightsOverDaysOfQuietWithRareBursts) {
  ArForecaster ar{1};
  Rng rng{9};
  const auto days = [&](std::uint32_t step) {
    const bool quiet = step / 20'000 % 2 == 0;
    if (quiet) return step % 997 == 0 ? 1e6F : 3.0F;
    return 3 + static_cast<float>(rng.uniform());
  };
  for (std::uint32_t step = 0; step < 400'000; step += 1'000) {
    testing::feed(ar, days, 1'000, step);
    for (const float weight : ar.weights(0)) ASSERT_LT(std::abs(weight), 10) << "step " << step;
    ASSERT_LE(ar.forecast(0, 10)->mean, 2e6F) << "step " << step;
  }
  EXPECT_NEAR(ar.forecast(0, 5)->mean, 3.5, 0.5);
}

}  // namespace
}  // namespace llmd::forecast
