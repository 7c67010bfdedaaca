#include "forecast/ewma_forecaster.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "forecast/last_value_forecaster.h"
#include "forecast/testing/series.h"

namespace llmd::forecast {
namespace {

using testing::Course;
using testing::error_of;

/// A course that was drawn beforehand, so that all see the same.
Course drawn(std::uint64_t seed, const std::function<float(float last, Rng& rng)>& next) {
  std::vector<float> values(3'000);
  Rng rng{seed};
  float last = 50;
  for (float& value : values) value = last = next(last, rng);
  return [values](std::uint32_t step) { return values[step]; };
}

TEST(EwmaForecaster, AveragesWhereTheLoadJumpsAboutItsMean) {
  const Course noise = drawn(1, [](float, Rng& rng) { return 100 * static_cast<float>(rng.uniform()); });
  EwmaForecaster ewma{1};
  LastValueForecaster last{1};
  // Uniform noise: 25 from its mean, 33.3 from another draw.
  EXPECT_NEAR(error_of(ewma, noise, 2'000, 5, 1'500), 25, 2);
  EXPECT_NEAR(error_of(last, noise, 2'000, 5, 1'500), 33.3, 2);
}

TEST(EwmaForecaster, FollowsALoadThatWanders) {
  const Course walk = drawn(2, [](float last, Rng& rng) { return last + 2 * static_cast<float>(rng.uniform()); });
  EwmaForecaster ewma{1};
  LastValueForecaster last{1};
  EXPECT_NEAR(error_of(ewma, walk, 2'000, 5, 1'500), error_of(last, walk, 2'000, 5, 1'500), 0.1);
}

TEST(EwmaForecaster, IsLittleWorseThanTheLastValueOnRareBursts) {
  const Course bursts = [](std::uint32_t step) { return step % 50 == 49 ? 500.0F : 10.0F; };
  EwmaForecaster ewma{1};
  LastValueForecaster last{1};
  EXPECT_LE(error_of(ewma, bursts, 2'000, 5, 1'500), 1.35 * error_of(last, bursts, 2'000, 5, 1'500));
}

}  // namespace
}  // namespace llmd::forecast
