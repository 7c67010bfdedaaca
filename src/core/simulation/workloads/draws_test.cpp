#include "simulation/workloads/draws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace llmd::simulation {
namespace {

constexpr int kDraws = 200'000;

struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments moments_of(const std::function<double(Rng&)>& draw) {
  Rng rng{7};
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = draw(rng);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kDraws;
  return {.mean = mean, .variance = squares / kDraws - mean * mean};
}

TEST(Draws, HaveTheMeanAndVarianceThatTheyPromise) {
  struct Case {
    const char* name;
    std::function<double(Rng&)> draw;
    double mean;
    double variance;
  };
  const Case cases[] = {
      {"normal", draw_normal, 0, 1},
      {"exponential", draw_exponential, 1, 1},
      {"gamma below 1", [](Rng& rng) { return draw_gamma(0.25, rng); }, 0.25, 0.25},
      {"gamma of 1", [](Rng& rng) { return draw_gamma(1, rng); }, 1, 1},
      {"gamma above 1", [](Rng& rng) { return draw_gamma(9, rng); }, 9, 9},
      {"geometric", [](Rng& rng) { return static_cast<double>(Geometric{.mean = 4, .max = 1'000}.draw(rng)); }, 4, 12},
  };
  for (const Case& test : cases) {
    const Moments found = moments_of(test.draw);
    EXPECT_NEAR(found.mean, test.mean, 0.02 * std::max(1.0, test.mean)) << test.name;
    EXPECT_NEAR(found.variance, test.variance, 0.04 * std::max(0.5, test.variance)) << test.name;
  }
}

TEST(Geometric, IsCutAtItsMaximumAndTellsTheMeanThatIsLeft) {
  const Geometric tries{.mean = 10, .max = 12};
  Rng rng{3};
  for (int i = 0; i < 1'000; ++i) {
    const std::uint32_t drawn = tries.draw(rng);
    EXPECT_GE(drawn, 1U);
    EXPECT_LE(drawn, 12U);
  }
  EXPECT_NEAR(moments_of([&](Rng& r) { return static_cast<double>(tries.draw(r)); }).mean, tries.cut_mean(), 0.03);
  EXPECT_LT(tries.cut_mean(), 8);
}

TEST(Geometric, OfAMeanOfOneOrLessIsOne) {
  Rng rng{3};
  for (const double mean : {1.0, 0.0, -1.0, std::nan("")}) {
    EXPECT_EQ((Geometric{.mean = mean, .max = 100}.draw(rng)), 1U);
    EXPECT_EQ((Geometric{.mean = mean, .max = 100}.cut_mean()), 1.0);
  }
  EXPECT_EQ((Geometric{.mean = 50, .max = 0}.draw(rng)), 1U);
}

TEST(ZipfDraw, GivesEachRankItsShare) {
  const ZipfDraw zipf{4, 1};
  Rng rng{5};
  std::array<int, 4> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[zipf.draw(rng)];
  const double sum = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4;
  for (std::size_t rank = 0; rank < counts.size(); ++rank) {
    EXPECT_NEAR(counts[rank], kDraws / (static_cast<double>(rank) + 1) / sum, 0.005 * kDraws) << rank;
  }
}

TEST(ZipfDraw, OfNoRanksHasOne) {
  Rng rng{5};
  EXPECT_EQ(ZipfDraw(0, 1).draw(rng), 0U);
  EXPECT_EQ(ZipfDraw(0, 1).count(), 1U);
}

}  // namespace
}  // namespace llmd::simulation
