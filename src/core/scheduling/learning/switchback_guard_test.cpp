#include "scheduling/learning/switchback_guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/rng.h"

namespace llmd::scheduling {
namespace {

using State = SwitchbackGuard::State;
constexpr int kWindow = SwitchbackGuard::kWindow;

/// A fleet whose worth moves towards what the weights in force let it earn, as caches fill: mixed rounds earn
/// `mixed_gain` more in the end, whatever their arms' differences say. Outcomes are told `late` rounds later.
struct Fleet {
  explicit Fleet(std::uint64_t seed) : rng{seed} {}

  bool round(bool blind = false) {
    const SwitchbackGuard::Plan plan = guard.plan(blind);
    const double aim = base + (plan.mixed ? mixed_gain : 0);
    level += (1 - carried) * (aim - level);
    under_way.emplace_back(plan.block, std::clamp(level + noise * (rng.uniform() - 0.5), 0.0, 1.0));
    while (under_way.size() > late) {
      guard.learn(under_way.front().first, under_way.front().second);
      under_way.pop_front();
    }
    return plan.mixed;
  }
  /// Share of the rounds that were mixed.
  double run(int rounds) {
    int mixed = 0;
    for (int i = 0; i < rounds; ++i) mixed += round() ? 1 : 0;
    return static_cast<double>(mixed) / rounds;
  }
  /// Rounds until it pauses.
  int until_pause(int rounds_max) {
    for (int i = 1; i <= rounds_max; ++i) {
      round();
      if (guard.state() == State::kPaused) return i;
    }
    return rounds_max + 1;
  }

  SwitchbackGuard guard;
  Rng rng;
  double base = 0.8;
  double mixed_gain = 0;
  double carried = 0.4;  // of the level, from round to round
  double noise = 0.1;
  std::size_t late = 1;
  double level = 0.8;
  std::deque<std::pair<std::uint32_t, double>> under_way;
};

class SwitchbackGuardSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SwitchbackGuardSeeds, CatchesInterferenceWithinItsWindow) {
  for (const double loss : {0.1, 0.2, 0.4}) {
    Fleet fleet{GetParam()};
    fleet.mixed_gain = -loss;
    EXPECT_LE(fleet.until_pause(200), kWindow) << "from the start, loss " << loss;
    Fleet turned{GetParam()};
    turned.mixed_gain = 0.05;
    turned.run(300);
    turned.mixed_gain = -loss;
    EXPECT_LE(turned.until_pause(300), kWindow) << "after it was good, loss " << loss;
  }
}

TEST_P(SwitchbackGuardSeeds, PausesGrowWhileItStaysBad) {
  Fleet fleet{GetParam()};
  fleet.mixed_gain = -0.2;
  fleet.run(600);
  EXPECT_GE(fleet.guard.pauses(), 4U);
  EXPECT_LT(fleet.run(600), 0.05);
}

TEST_P(SwitchbackGuardSeeds, ComparesSeldomWhereMixedBlocksAreBetter) {
  Fleet fleet{GetParam()};
  fleet.mixed_gain = 0.08;
  fleet.run(200);
  EXPECT_GT(fleet.run(1'000), 0.8);
  EXPECT_LE(fleet.guard.pauses(), 1U);
}

TEST_P(SwitchbackGuardSeeds, ResumesWhenWhatWasBadHasBecomeGood) {
  Fleet fleet{GetParam()};
  fleet.mixed_gain = -0.2;
  fleet.run(300);
  fleet.mixed_gain = 0.08;
  fleet.run(700);
  EXPECT_GT(fleet.run(500), 0.7);
}

TEST_P(SwitchbackGuardSeeds, ATrendOfTheTrafficIsNoDifference) {
  Fleet fleet{GetParam()};
  fleet.base = 0.4;
  for (int i = 0; i < 400; ++i) {
    fleet.base += 0.001;
    fleet.round();
  }
  EXPECT_NEAR(fleet.guard.difference().mean, 0, 0.03);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SwitchbackGuardSeeds, testing::Range<std::uint64_t>(1, 21));

TEST(SwitchbackGuard, TriesNothingBeforeTheConfiguredWeightsEarnEnough) {
  Fleet fleet{1};
  fleet.base = fleet.level = 0.2;
  EXPECT_EQ(fleet.guard.state(), State::kPoor);
  EXPECT_EQ(fleet.run(200), 0);
  EXPECT_EQ(fleet.guard.state(), State::kPoor);
  fleet.base = 0.8;
  EXPECT_GT(fleet.run(100), 0);
}

TEST(SwitchbackGuard, AFallThatTheConfiguredWeightsDoNotMendCountsAgainstTheMixedBlock) {
  Fleet fleet{1};
  while (!fleet.round()) {
  }
  fleet.base = fleet.level = 0.05;  // a queue that outlasts the block
  fleet.run(30);
  EXPECT_EQ(fleet.guard.pauses(), 1U);
  EXPECT_EQ(fleet.guard.state(), State::kPoor);
  fleet.base = 0.8;
  fleet.run(8);
  EXPECT_EQ(fleet.guard.state(), State::kPaused) << "the pause counts from when the fleet earns enough";
}

TEST(SwitchbackGuard, AMixedBlockEndsEarlyIfTheFleetEarnsFarLess) {
  Fleet fleet{1};
  fleet.mixed_gain = 0.08;
  fleet.run(300);
  while (!fleet.round()) {
  }
  fleet.base = 0.4;
  int rounds = 1;
  while (fleet.round()) ++rounds;
  EXPECT_LE(rounds, 6);
}

TEST(SwitchbackGuard, RisksNothingWhileOutcomesAreOverdue) {
  Fleet fleet{1};
  while (!fleet.round()) {
  }
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(fleet.round(/*blind=*/true));
  EXPECT_EQ(fleet.guard.state(), State::kBlind);
}

TEST(SwitchbackGuard, ToleratesRoundsThatAreNeverTold) {
  SwitchbackGuard guard;
  Rng rng{1};
  int mixed = 0;
  for (int i = 0; i < 2'000; ++i) {
    const SwitchbackGuard::Plan plan = guard.plan(false);
    mixed += plan.mixed ? 1 : 0;
    if (rng.chance(0.5)) guard.learn(plan.block, 0.8);
    if (rng.chance(0.1)) guard.learn(static_cast<std::uint32_t>(rng.below(1'000)), 0.8);
    if (rng.chance(0.01)) guard.abandon();
  }
  EXPECT_GT(mixed, 500);
}

}  // namespace
}  // namespace llmd::scheduling
