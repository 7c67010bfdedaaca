// The policies that look at nothing but load: random, round robin, least requests, power of two.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "simulation/policies/least_requests_policy.h"
#include "simulation/policies/power_of_two_policy.h"
#include "simulation/policies/random_policy.h"
#include "simulation/policies/round_robin_policy.h"
#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

/// How often each of four endpoints is chosen in 4,000 tries.
std::array<std::uint32_t, 4> counts(Policy& policy, Scene& scene) {
  std::array<std::uint32_t, 4> result{};
  for (std::uint32_t i = 0; i < 4'000; ++i) ++result.at(scene.choose(policy));
  return result;
}

TEST(RandomPolicy, ChoosesAllEquallyOftenWhateverTheirLoad) {
  RandomPolicy policy;
  Scene scene{4};
  scene.loads({100, 0, 0, 0});
  for (const std::uint32_t count : counts(policy, scene)) EXPECT_NEAR(count, 1'000, 120);  // 4 standard deviations
}

TEST(RoundRobinPolicy, GoesAroundAndOverWhoIsOut) {
  RoundRobinPolicy policy;
  Scene scene{4};
  scene.health(1, EndpointHealth::kDown);
  std::vector<std::uint32_t> chosen;
  for (int i = 0; i < 7; ++i) chosen.push_back(scene.choose(policy));
  EXPECT_EQ(chosen, (std::vector<std::uint32_t>{0, 2, 3, 0, 2, 3, 0}));
}

TEST(RoundRobinPolicy, StartsOverWhenTheFleetShrank) {
  RoundRobinPolicy policy;
  Scene four{4};
  for (int i = 0; i < 4; ++i) (void)four.choose(policy);
  Scene two{2};
  EXPECT_EQ(two.choose(policy), 0U);
}

TEST(LeastRequestsPolicy, ChoosesTheFewestInFlight) {
  LeastRequestsPolicy policy;
  Scene scene{4};
  scene.loads({3, 2, 1, 2});
  EXPECT_EQ(counts(policy, scene)[2], 4'000U);
}

TEST(LeastRequestsPolicy, BreaksTiesEvenly) {
  LeastRequestsPolicy policy;
  Scene scene{4};
  scene.loads({1, 5, 1, 1});
  const auto chosen = counts(policy, scene);
  EXPECT_EQ(chosen[1], 0U);
  for (const std::size_t place : {0U, 2U, 3U}) EXPECT_NEAR(chosen.at(place), 1'333, 120);
}

TEST(LeastRequestsPolicy, UsesTheSnapshotWithoutLiveCounters) {
  LeastRequestsPolicy policy;
  Scene scene{2};
  scene.live.clear();
  scene.snapshot.endpoints[0].inflight_requests = 1;
  EXPECT_EQ(scene.choose(policy), 1U);
}

TEST(PowerOfTwoPolicy, NeverChoosesTheFullestAndFavoursTheEmptiest) {
  PowerOfTwoPolicy policy;
  Scene scene{4};
  scene.loads({3, 2, 1, 0});
  // Of the 6 pairs none has place 0 win, one place 1, two place 2, three place 3.
  const auto chosen = counts(policy, scene);
  EXPECT_EQ(chosen[0], 0U);
  EXPECT_NEAR(chosen[1], 667, 100);
  EXPECT_NEAR(chosen[2], 1'333, 120);
  EXPECT_NEAR(chosen[3], 2'000, 130);
}

TEST(PowerOfTwoPolicy, TakesTheOnlyOne) {
  PowerOfTwoPolicy policy;
  Scene scene{2};
  scene.health(0, EndpointHealth::kDown);
  EXPECT_EQ(scene.choose(policy), 1U);
}

}  // namespace
}  // namespace llmd::simulation
