#include "apps/sim/forecast.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "apps/sim/sources.h"
#include "forecast/make_forecaster.h"

namespace llmd::sim {
namespace {

Result<ForecastComparison> judged(std::uint64_t requests, std::uint32_t endpoints = 2) {
  CompareOptions options;
  options.fleet.endpoints = endpoints;
  options.fleet.requests_max = requests;
  const auto workload = find_workload("documents", requests);
  const auto policies = find_policies({"least-requests"});
  return compare_forecasts(*workload, policies->front(), options, nullptr);
}

TEST(CompareForecasts, JudgesEveryModelOnEveryLoadAgainstTheLastValue) {
  const auto comparison = judged(600);
  ASSERT_TRUE(comparison) << comparison.error().to_string();
  EXPECT_EQ(comparison->errors.size(), 3 * forecast::forecaster_names().size());
  EXPECT_GT(comparison->mean_requests, 0.05);
  EXPECT_GT(comparison->mean_busy, 0.05);
  EXPECT_LE(comparison->mean_busy, 1.0);
  for (const ForecastErrors& each : comparison->errors) {
    SCOPED_TRACE(each.load + " " + each.model);
    for (std::size_t h = 0; h < kJudgedSteps.size(); ++h) {
      EXPECT_GT(each.mean_absolute[h], 0);
      EXPECT_GE(each.root_mean_square[h], each.mean_absolute[h]);
      EXPECT_LT(each.of_last_value[h], 1.5);
      EXPECT_EQ(each.of_last_value[h] == 1, each.model == "last-value");
    }
  }
}

TEST(CompareForecasts, GivesTheSameBytesForTheSameSeed) { EXPECT_EQ(json(*judged(300)), json(*judged(300))); }

TEST(CompareForecasts, RefusesARunThatIsTooShortToJudge) {
  const auto comparison = judged(8, 8);
  ASSERT_FALSE(comparison);
  EXPECT_EQ(comparison.error().code, ErrorCode::kInvalidRequest);
}

TEST(CompareForecasts, TheTableHasALineForEach) {
  const std::string text = table(*judged(300));
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), 2 + 3 * forecast::forecaster_names().size());
}

}  // namespace
}  // namespace llmd::sim
