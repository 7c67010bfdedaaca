#include "scheduling/learning/weight_search.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace llmd::scheduling {
namespace {

constexpr WeightLevels kConfigured{};

/// Traffic in rounds of 15 s; what an arm earns is said by `earns`, with noise.
struct Bench {
  explicit Bench(std::uint64_t seed) : rng{seed} {}
  WeightSearch search{{.scorers = 3}};
  Rng rng;
  TimePoint now{};

  /// Mean of what was served beyond what the configured weights would have earned.
  double run(int rounds, const std::function<double(const WeightLevels&)>& earns) {
    double gain = 0;
    for (int i = 0; i < rounds; ++i) {
      now += seconds{15};
      const WeightSearch::Plan plan = search.plan(rng);
      const WeightLevels learned = plan.paused ? kConfigured : plan.learned;
      const WeightLevels trial = plan.paused ? kConfigured : plan.trial;
      std::vector<WeightSearch::Seen> seen;
      for (const WeightLevels& levels : {kConfigured, trial, learned, learned, learned}) {
        gain += (earns(levels) - earns(kConfigured)) / 5 / rounds;
        seen.push_back({levels, earns(levels) + 0.1 * (rng.uniform() - 0.5)});
      }
      search.learn(seen, now);
    }
    return gain;
  }
};

class WeightSearchSeeds : public testing::TestWithParam<std::uint64_t> {};

double wants_third_up(const WeightLevels& levels) { return 0.8 + 0.08 * levels[2]; }
double wants_third_down(const WeightLevels& levels) { return 0.8 - 0.08 * levels[2]; }
double wants_configured(const WeightLevels& levels) {
  double worth = 0.8;
  for (const std::int8_t level : levels) worth -= 0.05 * level * level;
  return worth;
}

TEST_P(WeightSearchSeeds, FindsWhatIsBetter) {
  Bench bench{GetParam()};
  bench.run(100, wants_third_up);
  EXPECT_GT(bench.run(50, wants_third_up), 0.04);
  EXPECT_GT(bench.search.levels()[2], 0);
}

TEST_P(WeightSearchSeeds, GivesUpWithinTheWindowWhatHasBecomeWorseAndLearnsAnew) {
  Bench bench{GetParam()};
  bench.run(100, wants_third_up);
  const auto before = bench.search.fallbacks();
  bench.run(8, wants_third_down);  // 120 s
  EXPECT_GT(bench.search.fallbacks(), before);
  bench.run(150, wants_third_down);
  EXPECT_GT(bench.run(50, wants_third_down), 0.03);
}

TEST_P(WeightSearchSeeds, CostsLittleWhereTheConfiguredAreBest) {
  Bench bench{GetParam()};
  EXPECT_GT(bench.run(200, wants_configured), -0.02);
}

INSTANTIATE_TEST_SUITE_P(Seeds, WeightSearchSeeds, testing::Range<std::uint64_t>(1, 21));

TEST(WeightSearch, StaysInsideTheBounds) {
  Bench bench{5};
  bench.run(300, [](const WeightLevels& levels) {
    for (const std::int8_t level : levels) EXPECT_LE(std::abs(level), kLevelMax);
    return 0.5 + 0.05 * (levels[0] - levels[1]);
  });
}

}  // namespace
}  // namespace llmd::scheduling
