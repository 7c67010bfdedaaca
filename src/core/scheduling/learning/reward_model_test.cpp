#include "scheduling/learning/reward_model.h"

#include <gtest/gtest.h>

#include <array>

namespace llmd::scheduling {
namespace {

constexpr WeightLevels kConfigured{};
constexpr WeightLevels kFirstUp{2};
constexpr WeightLevels kSecondUp{0, 2};

TEST(RewardModel, KnowsNothingAtFirstAndIsUnsure) {
  const RewardModel model{2, 0.98};
  const auto difference = model.difference(kFirstUp, kConfigured);
  EXPECT_EQ(difference.mean, 0);
  EXPECT_GT(difference.deviation, 0.1);
  EXPECT_EQ(model.difference(kFirstUp, kFirstUp).deviation, 0);
}

TEST(RewardModel, FindsWhichWeightHelpsWhateverTheLoadWas) {
  RewardModel model{2, 0.98};
  Rng rng{1};
  for (int round = 0; round < 60; ++round) {
    const double load = rng.uniform();  // moves all arms of a round alike
    const auto seen = [&](double gain) { return load + gain + 0.05 * (rng.uniform() - 0.5); };
    const std::array<RewardModel::Sample, 3> samples{
        {{kConfigured, seen(0)}, {kFirstUp, seen(0.1)}, {kSecondUp, seen(-0.1)}}};
    model.add_round(samples);
  }
  const auto first = model.difference(kFirstUp, kConfigured);
  EXPECT_NEAR(first.mean, 0.1, 0.03);
  EXPECT_LT(first.deviation, 0.03);
  EXPECT_NEAR(model.difference(kFirstUp, kSecondUp).mean, 0.2, 0.04);
}

TEST(RewardModel, FollowsARewardThatTurns) {
  RewardModel model{1, 0.9};
  const auto add = [&](double gain) {
    const std::array<RewardModel::Sample, 2> samples{{{kConfigured, 0.5}, {kFirstUp, 0.5 + gain}}};
    model.add_round(samples);
  };
  for (int round = 0; round < 50; ++round) add(0.2);
  EXPECT_GT(model.difference(kFirstUp, kConfigured).mean, 0.1);
  for (int round = 0; round < 50; ++round) add(-0.2);
  EXPECT_LT(model.difference(kFirstUp, kConfigured).mean, -0.1);
}

TEST(RewardModel, DrawsWhatItBelieves) {
  RewardModel model{1, 1};
  const std::array<RewardModel::Sample, 2> samples{{{kConfigured, 0.4}, {kFirstUp, 0.6}}};
  for (int round = 0; round < 200; ++round) model.add_round(samples);
  Rng rng{2};
  int better = 0;
  for (int i = 0; i < 100; ++i) better += model.value(model.draw(rng), kFirstUp) > 0 ? 1 : 0;
  EXPECT_GT(better, 95);
}

}  // namespace
}  // namespace llmd::scheduling
