#include "health/robust_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace llmd::health {
namespace {

TEST(RobustStatistics, MedianIsTheMiddleOrTheMeanOfTheTwo) {
  std::vector<float> one{3};
  std::vector<float> odd{9, 1, 5};
  std::vector<float> even{8, 1, 2, 4};
  EXPECT_EQ(median(one), 3);
  EXPECT_EQ(median(odd), 5);
  EXPECT_EQ(median(even), 3);
}

TEST(RobustStatistics, SpreadIsThatOfMostWhateverAMinorityDoes) {
  std::vector<float> values{1.0F, 1.1F, 0.9F, 1.2F, 0.8F, 1'000, -500};
  const RobustSpread spread = robust_spread(values);
  EXPECT_FLOAT_EQ(spread.centre, 1.0F);
  EXPECT_NEAR(spread.deviation, 1.4826 * 0.2, 1e-5);
}

TEST(RobustStatistics, TailBoundIsAboveTheExactChanceAndNotFarAbove) {
  for (const std::uint32_t trials : {8U, 40U, 400U}) {
    for (const double probability : {0.02, 0.1, 0.5}) {
      for (std::uint32_t hits = 0; hits <= trials; hits += trials / 8) {
        double exact = 0;
        for (std::uint32_t k = hits; k <= trials; ++k) {
          exact += std::exp(std::lgamma(trials + 1.0) - std::lgamma(k + 1.0) - std::lgamma(trials - k + 1.0) +
                            k * std::log(probability) + (trials - k) * std::log1p(-probability));
        }
        const double bound = binomial_tail_bound(hits, trials, probability);
        EXPECT_GE(bound, exact * (1 - 1e-9)) << hits << " of " << trials << " at " << probability;
        if (hits <= trials * probability || exact < 1e-290) continue;
        EXPECT_LT(std::log(bound) - std::log(exact), 4.0) << hits << " of " << trials << " at " << probability;
      }
    }
  }
  EXPECT_EQ(binomial_tail_bound(0, 0, 0.1), 1);
  EXPECT_EQ(binomial_tail_bound(1, 10, 0.1), 1);
}

}  // namespace
}  // namespace llmd::health
