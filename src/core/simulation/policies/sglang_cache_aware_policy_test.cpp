#include "simulation/policies/sglang_cache_aware_policy.h"

#include <gtest/gtest.h>

#include <vector>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;

TEST(SglangCacheAwarePolicy, FollowsThePrefixWhileBalanced) {
  SglangCacheAwarePolicy policy{{}};
  Scene scene{3};
  scene.prompt({1, 2, 3}).loads({1, 0, 1});
  EXPECT_EQ(scene.choose(policy), 1U) << "new: the shortest queue";
  scene.prompt({1, 2, 3, 4}).loads({0, 60, 0});
  EXPECT_EQ(scene.choose(policy), 1U);
}

TEST(SglangCacheAwarePolicy, WantsMoreThanTheThresholdMatched) {
  SglangCacheAwarePolicy policy{{.cache_threshold = 0.5F}};
  Scene scene{2};
  scene.prompt({1, 2}).loads({0, 1});
  EXPECT_EQ(scene.choose(policy), 0U);
  scene.loads({1, 0});
  scene.prompt({1, 2, 13, 14});
  EXPECT_EQ(scene.choose(policy), 1U) << "half is not more than half";
  scene.prompt({1, 2, 23});
  EXPECT_EQ(scene.choose(policy), 0U);
}

TEST(SglangCacheAwarePolicy, TakesTheShortestQueueOnceBothThresholdsAreExceeded) {
  struct Case {
    std::uint32_t least;
    std::uint32_t most;
    bool by_prefix;
  };
  const std::vector<Case> cases{
      {0, 64, true},     // not more than 64 apart
      {0, 65, false},    // 65 apart, and infinitely more
      {130, 195, true},  // 65 apart, but 195 is not more than 1.5 times 130
      {130, 196, false},
  };
  for (const Case& each : cases) {
    SglangCacheAwarePolicy policy{{}};
    Scene scene{2};
    scene.prompt({1, 2});
    EXPECT_EQ(scene.choose(policy), 0U);
    scene.loads({each.most, each.least});
    EXPECT_EQ(scene.choose(policy), each.by_prefix ? 0U : 1U) << each.least << " and " << each.most;
  }
}

TEST(SglangCacheAwarePolicy, RemembersWhereAnUnbalancedChoiceWent) {
  SglangCacheAwarePolicy policy{{}};
  Scene scene{2};
  scene.prompt({1, 2}).loads({100, 0});
  EXPECT_EQ(scene.choose(policy), 1U);
  scene.loads({0, 50});
  EXPECT_EQ(scene.choose(policy), 1U);
}

TEST(SglangCacheAwarePolicy, PrefersAmongEqualQueuesWhoWasChosenLess) {
  SglangCacheAwarePolicy policy{{}};
  Scene scene{3};
  std::vector<std::uint32_t> chosen;
  for (std::uint64_t block = 1; block <= 6; ++block) chosen.push_back(scene.prompt({block}).choose(policy));
  EXPECT_EQ(chosen, (std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2}));
}

TEST(SglangCacheAwarePolicy, FallsBackToTheFirstWhenTheMatchedWorkerIsOut) {
  SglangCacheAwarePolicy policy{{}};
  Scene scene{3};
  scene.prompt({1, 2}).loads({5, 5, 0});
  EXPECT_EQ(scene.choose(policy), 2U);
  scene.health(2, EndpointHealth::kDown).loads({5, 0, 0});
  EXPECT_EQ(scene.choose(policy), 0U) << "the first, not the freest";
  EXPECT_EQ(policy.tree().size_of(0), 0U) << "and the tree does not learn of it";
  scene.health(2, EndpointHealth::kReady);
  EXPECT_EQ(scene.choose(policy), 2U);
}

TEST(SglangCacheAwarePolicy, EvictsEachInterval) {
  SglangCacheAwarePolicy policy{{.eviction_interval = seconds{10}, .max_tree_size = std::uint64_t{2} * 16}};
  Scene scene{1};
  scene.prompt({1, 2, 3, 4});
  (void)scene.choose(policy);
  scene.prompt({});
  scene.request.prefix.block_tokens = testing::kBlockTokens;
  scene.now += seconds{9};
  (void)scene.choose(policy);
  EXPECT_EQ(policy.tree().blocks(), 4U);
  scene.now += seconds{1};
  (void)scene.choose(policy);
  EXPECT_EQ(policy.tree().blocks(), 2U);
}

}  // namespace
}  // namespace llmd::simulation
