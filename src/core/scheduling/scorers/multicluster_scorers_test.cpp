#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "scheduling/scorers/multicluster_kv_cache_utilization_scorer.h"
#include "scheduling/scorers/multicluster_queue_scorer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::PluginScene;

/// With two more clusters, one whose reading is too old and one without.
std::vector<float> scores_of(const Scorer& scorer, const std::string& attribute, const std::vector<float>& values) {
  std::vector<testing::EndpointSpec> pool(values.size() + 2);
  for (std::size_t i = 0; i < pool.size(); ++i) pool[i].name = std::to_string(i);
  PluginScene scene{pool};
  for (EndpointIndex i = 0; i < values.size(); ++i) scene.signals(i).named.push_back({attribute, {values[i], kNow}});
  scene.signals(static_cast<EndpointIndex>(values.size())).named.push_back({attribute, {1.0F, kNow - seconds{3}}});
  return scene.scores(scorer);
}

TEST(MulticlusterQueueScorer, StretchesTheQueueOverTheClusters) {
  const auto scores = scores_of(MulticlusterQueueScorer{}, "llm-d.ai/multicluster-queue-size", {0.5F, 2.5F, 1.0F});
  EXPECT_EQ(scores[0], 1.0F);
  EXPECT_EQ(scores[1], 0.0F);
  EXPECT_EQ(scores[2], 0.75F);
  EXPECT_TRUE(std::isnan(scores[3])) << "stale";
  EXPECT_TRUE(std::isnan(scores[4])) << "missing";
}

TEST(MulticlusterQueueScorer, GivesAllOneWhenQueuesAreEqual) {
  const auto scores = scores_of(MulticlusterQueueScorer{}, "llm-d.ai/multicluster-queue-size", {3, 3});
  EXPECT_EQ(scores[0], 1.0F);
  EXPECT_EQ(scores[1], 1.0F);
}

TEST(MulticlusterKvCacheUtilizationScorer, IsTheFreeShare) {
  const auto scores =
      scores_of(MulticlusterKvCacheUtilizationScorer{}, "llm-d.ai/multicluster-kv-cache-utilization", {0.25F, 1.0F});
  EXPECT_EQ(scores[0], 0.75F);
  EXPECT_EQ(scores[1], 0.0F);
  EXPECT_TRUE(std::isnan(scores[2])) << "stale";
  EXPECT_TRUE(std::isnan(scores[3])) << "missing";
}

TEST(MulticlusterPrefixCacheScorer, IsTheMatchedRatioByDefault) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}}};
  scene.request.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  scene.matched_blocks = {4, 1};
  const MadePlugin made = testing::try_make("multicluster-prefix-cache-scorer", {});
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(scene.scores(*made->scorer), (std::vector<float>{1.0F, 0.25F}));
}

}  // namespace
}  // namespace llmd::scheduling
