#include "forecast/lstm_forecaster.h"

#include <gtest/gtest.h>

#include "forecast/last_value_forecaster.h"
#include "forecast/testing/series.h"

namespace llmd::forecast {
namespace {

using testing::error_of;

TEST(LstmForecaster, BeatsTheLastValueOnASineWithin600Steps) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    LstmForecaster lstm{1, {.seed = seed}};
    LastValueForecaster last{1};
    const double error = error_of(lstm, testing::sine(40), 600, 5, 100);
    EXPECT_LT(error, 0.5 * error_of(last, testing::sine(40), 600, 5, 100)) << "seed " << seed;
  }
}

TEST(LstmForecaster, IsTheLastValueUntilItHasLearnt) {
  LstmForecaster lstm{1, {.windows_a_step = 0}};
  testing::feed(lstm, testing::sine(40), 100);
  EXPECT_FLOAT_EQ(lstm.forecast(0, 5)->mean, *testing::sine(40)(99));
}

TEST(LstmForecaster, OneNetworkServesSeriesOfAllSizes) {
  LstmForecaster lstm{2};
  const auto sine = testing::sine(40);
  double large = 0;
  double small = 0;
  double last = 0;
  for (std::uint32_t step = 0; step < 800; ++step) {
    const std::vector<std::optional<float>> values{1'000 * *sine(step), 1e-3F * *sine(step + 20)};
    lstm.step(values);
    if (step < 700) continue;
    large += std::abs(lstm.forecast(0, 5)->mean / 1'000 - *sine(step + 5));
    small += std::abs(lstm.forecast(1, 5)->mean * 1'000 - *sine(step + 25));
    last += std::abs(*sine(step) - *sine(step + 5));
  }
  EXPECT_LT(large, 0.5 * last);
  EXPECT_LT(small, 0.5 * last);
}

}  // namespace
}  // namespace llmd::forecast
