#include "forecast/holt_winters_forecaster.h"

#include <gtest/gtest.h>

#include "forecast/last_value_forecaster.h"
#include "forecast/testing/series.h"

namespace llmd::forecast {
namespace {

using testing::error_of;

TEST(HoltWintersForecaster, GoesOnWithARamp) {
  const auto ramp = [](std::uint32_t step) { return 10 + 2.0F * static_cast<float>(step); };
  HoltWintersForecaster holt{1};
  LastValueForecaster last{1};
  EXPECT_NEAR(error_of(last, ramp, 200, 5, 100), 10, 0.01);
  EXPECT_LT(error_of(holt, ramp, 200, 5, 100), 6);  // damped: it does not believe in it for ever
}

TEST(HoltWintersForecaster, SoonStopsToBelieveInATrendThatHasEnded) {
  HoltWintersForecaster holt{1};
  testing::feed(holt, [](std::uint32_t step) { return step < 100 ? static_cast<float>(step) : 100.0F; }, 130);
  EXPECT_NEAR(holt.forecast(0, 10)->mean, 100, 3);
}

TEST(HoltWintersForecaster, LearnsASeasonWhoseLengthItIsTold) {
  HoltWintersForecaster with{1, {.season_steps = 24}};
  HoltWintersForecaster without{1};
  const double seasonal = error_of(with, testing::sine(24), 1'500, 10, 500);
  const double plain = error_of(without, testing::sine(24), 1'500, 10, 500);
  EXPECT_LT(seasonal, 0.3 * plain);
}

TEST(HoltWintersForecaster, MissingStepsMoveTheSeasonOn) {
  HoltWintersForecaster holt{1, {.season_steps = 24}};
  const auto sine = testing::sine(24);
  testing::feed(holt, sine, 1'500);
  testing::feed(holt, [](std::uint32_t) -> std::optional<float> { return std::nullopt; }, 12);
  EXPECT_NEAR(holt.forecast(0, 6)->mean, *sine(1'517), 12);
}

}  // namespace
}  // namespace llmd::forecast
