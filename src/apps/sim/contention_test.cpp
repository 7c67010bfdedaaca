#include "apps/sim/contention.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::sim {
namespace {

using simulation::CostSample;

/// A sample that takes so many times what the profile predicts.
CostSample slowed(CostSample sample, const simulation::HardwareProfile& profile, double times) {
  sample.seconds = times * simulation::predicted_seconds(sample, profile);
  return sample;
}

const CostSample kPrompt{.steps = 2, .prefill_tokens = 500, .prefill_kilotokens = 125, .requests = 1};
const CostSample kDecode{.kind = CostSample::Kind::kDecode, .decode_sequences = 4, .decode_kilotokens = 2};

TEST(PassTime, IsTheRatioThatMadeTheTimes) {
  const simulation::HardwareProfile profile;
  PassTime pass{profile};
  EXPECT_EQ(pass.ratio(), 1);
  pass.add(slowed(kPrompt, profile, 1.045));
  pass.add(slowed(kDecode, profile, 1.045), 31);
  EXPECT_NEAR(pass.ratio(), 1.045, 1e-12);
}

TEST(PassTime, WeighsEachSampleWithItsTime) {
  simulation::HardwareProfile profile;
  profile.step_s = 0.01;
  PassTime pass{profile};
  pass.add({.kind = CostSample::Kind::kDecode, .seconds = 0.011}, 30);          // 300 ms, 1.1 times
  pass.add({.kind = CostSample::Kind::kPrompt, .seconds = 0.12, .steps = 10});  // 100 ms, 1.2 times
  EXPECT_NEAR(pass.ratio(), 0.45 / 0.4, 1e-12);
}

TEST(Slowness, IsHardlyMovedByOneDisturbedPass) {
  const Slowness slowness = slowness_of({1.03, 1.02, 9.0}, {1.04, 1.06, 1.05, 0.5});
  EXPECT_NEAR(slowness.times, (1.03 + 1.045) / 2, 1e-12);
  EXPECT_EQ(slowness.least, 0.5);
  EXPECT_EQ(slowness.most, 9.0);
  EXPECT_EQ(slowness.passes, 7U);
  EXPECT_NEAR(slowness_of({1.0}, {1.1}).times, 1.05, 1e-12);
}

TEST(NeighbourSlowdown, IsForEachOtherCoreAndNeverBelowZero) {
  EXPECT_NEAR(neighbour_slowdown(1.045, 1), 0.045, 1e-12);
  EXPECT_NEAR(neighbour_slowdown(1.3, 3), 0.1, 1e-12);
  EXPECT_EQ(neighbour_slowdown(0.97, 1), 0);
}

TEST(SharingSlowdown, IsWhatTurnsAndNeighboursDoNotExplain) {
  EXPECT_NEAR(sharing_slowdown(2.12, {.on_this_core = 1}), 0.06, 1e-12);
  EXPECT_NEAR(sharing_slowdown(3.3, {.on_this_core = 2}), 0.1, 1e-12);
  const Sharers both{.on_this_core = 1, .neighbours = 3, .neighbour_slowdown = 0.04};
  EXPECT_NEAR(sharing_slowdown(2 * 1.12 * 1.05, both), 0.05, 1e-12);
  EXPECT_EQ(sharing_slowdown(2.2, both), 0);
}

}  // namespace
}  // namespace llmd::sim
