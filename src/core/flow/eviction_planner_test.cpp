#include "flow/eviction_planner.h"

#include <gtest/gtest.h>

namespace llmd::flow {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};
using Ids = std::vector<std::uint64_t>;

TEST(EvictionPlanner, CutsTheLowestPriorityAndOfEqualsTheNewest) {
  EvictionPlanner planner;
  planner.started(1, -1, kNow);
  planner.started(2, -9, kNow + milliseconds{1});
  planner.started(3, -9, kNow + milliseconds{2});
  planner.started(4, 0, kNow);
  // 1.5 of saturation by four: each is 0.375, so two make room below 1.
  EXPECT_EQ(planner.choose(1.5F, {.priority = 0, .ceiling = 1}, kNow + seconds{1}), (Ids{3, 2}));
}

TEST(EvictionPlanner, CutsOneAtTheEdgeAndNeverMoreThanTwo) {
  EvictionPlanner planner;
  for (std::uint64_t id = 0; id < 100; ++id) planner.started(id, -1, kNow);
  EXPECT_EQ(planner.choose(1.0F, {.priority = 1, .ceiling = 1}, kNow).size(), 1U);
  EvictionPlanner full;
  for (std::uint64_t id = 0; id < 100; ++id) full.started(id, -1, kNow);
  EXPECT_EQ(full.choose(9.0F, {.priority = 1, .ceiling = 1}, kNow).size(), 2U);
}

TEST(EvictionPlanner, NeverCutsForAnEqualOrLowerBandNorOnesThatMayNotBeShed) {
  EvictionPlanner planner;
  planner.started(1, -5, kNow);
  planner.started(2, 3, kNow);
  EXPECT_EQ(planner.choose(2, {.priority = -5, .ceiling = 1}, kNow), Ids{});
  EXPECT_EQ(planner.choose(2, {.priority = 9, .ceiling = 0}, kNow), Ids{}) << "a ceiling of 0 opens for nobody";
  EXPECT_EQ(planner.choose(2, {.priority = 9, .ceiling = 1}, kNow), Ids{1});
}

TEST(EvictionPlanner, WaitsForItsVictimsToEndAndTheMetricsToShowIt) {
  EvictionPlanner planner;
  for (std::uint64_t id = 0; id < 4; ++id) planner.started(id, -1, kNow + milliseconds{id});
  const FlowController::Blocked blocked{.priority = 0, .ceiling = 1};
  EXPECT_EQ(planner.choose(1, blocked, kNow), Ids{3});
  EXPECT_EQ(planner.choose(1, blocked, kNow + seconds{1}), Ids{}) << "not confirmed";
  EXPECT_EQ(planner.ended(3, kNow + seconds{1}), seconds{1});
  EXPECT_EQ(planner.choose(1, blocked, kNow + milliseconds{1'499}), Ids{}) << "cooling";
  EXPECT_EQ(planner.choose(1, blocked, kNow + milliseconds{1'500}), Ids{2});
  EXPECT_EQ(planner.choose(1, blocked, kNow + milliseconds{11'500}), Ids{}) << "given up, cooling";
  EXPECT_EQ(planner.choose(1, blocked, kNow + seconds{12}), Ids{1}) << "one that hangs holds nobody up";
  EXPECT_EQ(planner.given_up(), 1U);
  EXPECT_EQ(planner.ended(2, kNow + seconds{20}), std::nullopt) << "it is no victim any more";
}

TEST(EvictionPlanner, TellsWhatItWantsBackAndWhatIsUnderWay) {
  EvictionPlanner planner;
  EXPECT_EQ(planner.reclaim(kNow).pending, 0);
  for (std::uint64_t id = 0; id < 4; ++id) planner.started(id, -1, kNow + milliseconds{id});
  ASSERT_EQ(planner.choose(1.5F, {.priority = 0, .ceiling = 1}, kNow), (Ids{3, 2}));
  EXPECT_FLOAT_EQ(planner.reclaim(kNow).target, 0.5F);
  EXPECT_FLOAT_EQ(planner.reclaim(kNow).pending, 2 * 1.5F / 4);
  planner.ended(3, kNow + seconds{1});
  EXPECT_FLOAT_EQ(planner.reclaim(kNow + seconds{2}).pending, 2 * 1.5F / 4) << "the other has not ended";
  planner.ended(2, kNow + seconds{3});
  EXPECT_FLOAT_EQ(planner.reclaim(kNow + milliseconds{3'499}).pending, 2 * 1.5F / 4) << "cooling";
  EXPECT_EQ(planner.reclaim(kNow + milliseconds{3'500}).pending, 0);
  EXPECT_FLOAT_EQ(planner.reclaim(kNow + seconds{9}).target, 0.5F) << "of the last decision";
  EXPECT_EQ(planner.choose(2, {.priority = -1, .ceiling = 1}, kNow + seconds{9}), Ids{});
  EXPECT_FLOAT_EQ(planner.reclaim(kNow + seconds{9}).target, 0.5F) << "there was nobody to cut, so none was taken";
}

}  // namespace
}  // namespace llmd::flow
