#include "forecast/forecaster.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/rng.h"
#include "forecast/make_forecaster.h"
#include "forecast/testing/series.h"

namespace llmd::forecast {
namespace {

using testing::feed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// What must hold of every kind.
class AnyForecaster : public ::testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<Forecaster> make(std::uint32_t series_max = 4) { return make_forecaster(GetParam(), series_max); }
};

INSTANTIATE_TEST_SUITE_P(Kinds, AnyForecaster, ::testing::ValuesIn(forecaster_names()), [](const auto& kind) {
  std::string name{kind.param};
  std::erase(name, '-');
  return name;
});

TEST_P(AnyForecaster, KnowsNothingBeforeTheFirstValue) {
  const auto forecaster = make();
  EXPECT_FALSE(forecaster->forecast(0, 5));
  forecaster->step({});
  const std::optional<float> missing;
  forecaster->step({&missing, 1});
  EXPECT_FALSE(forecaster->forecast(0, 5));
  EXPECT_FALSE(forecaster->forecast(1'000, 5));
}

TEST_P(AnyForecaster, ForecastsTheFirstValueFromItAlone) {
  const auto forecaster = make();
  feed(*forecaster, [](std::uint32_t) { return 7.0F; }, 1);
  const Forecast forecast = *forecaster->forecast(0, 10);
  EXPECT_FLOAT_EQ(forecast.mean, 7.0F);
  EXPECT_FLOAT_EQ(forecast.deviation, 7.0F);  // nothing is known of errors
}

TEST_P(AnyForecaster, LearnsThatAConstantIsConstant) {
  for (const float level : {0.0F, 0.3F, 1e6F}) {
    SCOPED_TRACE(level);
    const auto forecaster = make();
    feed(*forecaster, [level](std::uint32_t) { return level; }, 300);
    for (const std::uint32_t ahead : {0U, 1U, 5U, 10U, 99U}) {
      const Forecast forecast = *forecaster->forecast(0, ahead);
      EXPECT_NEAR(forecast.mean, level, 0.01F * level);
      EXPECT_NEAR(forecast.deviation, 0.0F, 0.02F * level);
    }
  }
}

TEST_P(AnyForecaster, ComesToANewLevelAfterAStepOfTheLoad) {
  const auto forecaster = make();
  const auto course = [](std::uint32_t step) { return step < 200 ? 10.0F : 200.0F; };
  feed(*forecaster, course, 300);
  EXPECT_NEAR(forecaster->forecast(0, 5)->mean, 200.0F, 12.0F);
}

TEST_P(AnyForecaster, DeviationIsTheSizeOfItsErrors) {
  const auto forecaster = make();
  Rng rng{3};
  double squares = 0;
  std::vector<float> said;
  const std::uint32_t steps = 2'000;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const std::optional<float> value = 50.0F + 20.0F * static_cast<float>(rng.uniform());
    if (step > 1'000) {
      const double error = *value - said[step - 5];
      squares += error * error / (steps - 1'001);
    }
    forecaster->step({&value, 1});
    said.push_back(forecaster->forecast(0, 5)->mean);
  }
  const double deviation = forecaster->forecast(0, 5)->deviation;
  EXPECT_GT(deviation, 0.6 * std::sqrt(squares));
  EXPECT_LT(deviation, 1.5 * std::sqrt(squares));
}

TEST_P(AnyForecaster, RefusesWhatIsNoLoad) {
  const auto forecaster = make();
  feed(*forecaster, [](std::uint32_t) { return 5.0F; }, 50);
  for (const float bad : {kNan, kInfinity, -kInfinity, -1.0F, std::numeric_limits<float>::max()})
    feed(*forecaster, [bad](std::uint32_t) { return bad; }, 1);
  EXPECT_EQ(forecaster->refused(), 5U);
  EXPECT_NEAR(forecaster->forecast(0, 5)->mean, 5.0F, 0.1F);
}

TEST_P(AnyForecaster, GoesOnOverAGapAndBeginsAnewAfterALongOne) {
  const auto forecaster = make();
  feed(*forecaster, [](std::uint32_t) { return 5.0F; }, 100);
  const auto nothing = [](std::uint32_t) -> std::optional<float> { return std::nullopt; };
  feed(*forecaster, nothing, Forecaster::kGapMax);
  EXPECT_NEAR(forecaster->forecast(0, 5)->mean, 5.0F, 0.1F);
  feed(*forecaster, nothing, 1);
  EXPECT_FALSE(forecaster->forecast(0, 5));
  feed(*forecaster, [](std::uint32_t) { return 900.0F; }, 1);
  EXPECT_FLOAT_EQ(forecaster->forecast(0, 5)->mean, 900.0F);
}

TEST_P(AnyForecaster, ForgetsASeriesAndLeavesItsNeighbours) {
  const auto forecaster = make();
  const std::vector<std::optional<float>> values{1.0F, 2.0F, 3.0F};
  for (int step = 0; step < 20; ++step) forecaster->step(values);
  forecaster->forget(1);
  forecaster->forget(77);
  EXPECT_FALSE(forecaster->forecast(1, 1));
  EXPECT_NEAR(forecaster->forecast(0, 1)->mean, 1.0F, 0.05F);
  EXPECT_NEAR(forecaster->forecast(2, 1)->mean, 3.0F, 0.05F);
}

TEST_P(AnyForecaster, KeepsNoMoreSeriesThanItMay) {
  const auto forecaster = make(2);
  const std::vector<std::optional<float>> values(50, 1.0F);
  forecaster->step(values);
  EXPECT_TRUE(forecaster->forecast(1, 1));
  EXPECT_FALSE(forecaster->forecast(2, 1));
}

// Bursts, gaps, jumps over many decades, nonsense between: forecasts stay numbers, and near what was ever seen.
TEST_P(AnyForecaster, StaysInRangeWhateverComes) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Rng rng{seed};
    const auto forecaster = make();
    const float scale = std::pow(10.0F, 12 * static_cast<float>(rng.uniform()) - 4);
    std::vector<std::optional<float>> values(4);
    for (int step = 0; step < 300; ++step) {
      for (auto& value : values) {
        const double kind = rng.uniform();
        value = scale * static_cast<float>(rng.chance(0.1) ? 100 * rng.uniform() : rng.uniform());
        if (kind < 0.1) value.reset();
        if (kind > 0.98) value = kNan;
        if (kind > 0.1 && kind < 0.2) value = 0.0F;
      }
      forecaster->step(values);
      for (std::uint32_t series = 0; series < 4; ++series) {
        const auto forecast = forecaster->forecast(series, 1 + static_cast<std::uint32_t>(rng.below(10)));
        if (!forecast) continue;
        ASSERT_TRUE(forecast->mean >= 0 && forecast->mean <= 1'000 * scale) << forecast->mean << " of " << scale;
        ASSERT_TRUE(std::isfinite(forecast->deviation) && forecast->deviation >= 0);
      }
    }
  }
}

TEST_P(AnyForecaster, GivesTheSameForTheSame) {
  const auto one = make();
  const auto other = make();
  feed(*one, testing::sine(30), 200);
  feed(*other, testing::sine(30), 200);
  EXPECT_EQ(one->forecast(0, 7)->mean, other->forecast(0, 7)->mean);
}

TEST(MakeForecaster, KnowsTheDefaultAndNoOtherName) {
  EXPECT_NE(make_forecaster(kDefaultForecaster, 1), nullptr);
  EXPECT_EQ(make_forecaster("crystal-ball", 1), nullptr);
}

}  // namespace
}  // namespace llmd::forecast
