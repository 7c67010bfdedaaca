#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "scheduling/scorers/active_request_scorer.h"
#include "scheduling/scorers/kv_cache_utilization_scorer.h"
#include "scheduling/scorers/prefix_cache_scorer.h"
#include "scheduling/scorers/queue_scorer.h"
#include "scheduling/scorers/running_requests_size_scorer.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;

TEST(QueueScorer, StretchesTheQueueOverTheCandidates) {
  const PluginScene scene{{{.name = "a", .waiting = 2}, {.name = "b", .waiting = 10}, {.name = "c", .waiting = 4}}};
  EXPECT_EQ(scene.scores(QueueScorer{}), (std::vector<float>{1.0F, 0.0F, 0.75F}));
}

TEST(QueueScorer, GivesAllOneWhenQueuesAreEqual) {
  const PluginScene scene{{{.name = "a", .waiting = 7}, {.name = "b", .waiting = 7}}};
  EXPECT_EQ(scene.scores(QueueScorer{}), (std::vector<float>{1.0F, 1.0F}));
}

TEST(QueueScorer, HasNoDataForMissingAndStaleReadings) {
  const PluginScene scene{{{.name = "missing"},
                           {.name = "stale", .waiting = 0, .metric_age = seconds{3}},
                           {.name = "low", .waiting = 1, .metric_age = seconds{2}},
                           {.name = "high", .waiting = 3}}};
  const std::vector<float> scores = scene.scores(QueueScorer{});
  EXPECT_TRUE(std::isnan(scores[0]));
  EXPECT_TRUE(std::isnan(scores[1]));
  EXPECT_EQ(scores[2], 1.0F);
  EXPECT_EQ(scores[3], 0.0F);
}

TEST(RunningRequestsSizeScorer, StretchesRunningRequestsOverTheCandidates) {
  const PluginScene scene{
      {{.name = "a", .waiting = 9, .running = 8}, {.name = "b", .running = 0}, {.name = "c", .running = 2}}};
  EXPECT_EQ(scene.scores(RunningRequestsSizeScorer{}), (std::vector<float>{0.0F, 1.0F, 0.75F}));
}

TEST(KvCacheUtilizationScorer, IsTheFreeShare) {
  const PluginScene scene{{{.name = "a", .kv_usage = 0.25F}, {.name = "b", .kv_usage = 1.0F}, {.name = "c"}}};
  const std::vector<float> scores = scene.scores(KvCacheUtilizationScorer{});
  EXPECT_EQ(scores[0], 0.75F);
  EXPECT_EQ(scores[1], 0.0F);
  EXPECT_TRUE(std::isnan(scores[2]));
}

TEST(PrefixCacheScorer, IsTheMatchedRatioByDefault) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}, {.name = "c"}}};
  scene.request.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  scene.matched_blocks = {4, 1, 0};
  EXPECT_EQ(scene.scores(PrefixCacheScorer{{}}), (std::vector<float>{1.0F, 0.25F, 0.0F}));
}

TEST(PrefixCacheScorer, MixesInTheSquareOfTheMatchedLength) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}}};
  scene.request.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  scene.matched_blocks = {2, 4};
  const PrefixCacheScorer scorer{{.length_weight = 0.5F, .length_scale_tokens = 256}};
  // a: r = 1/2, L = (128/256)^2 = 1/4. b: r = 1, L = 1.
  EXPECT_EQ(scene.scores(scorer), (std::vector<float>{0.375F, 1.0F}));
}

TEST(PrefixCacheScorer, IsZeroForAPromptWithoutBlocks) {
  PluginScene scene{{{.name = "a"}}};
  scene.matched_blocks = {0};
  EXPECT_EQ(scene.scores(PrefixCacheScorer{{}}), std::vector<float>{0.0F});
}

TEST(ActiveRequestScorer, GivesIdleOneAndBusyAShareOfTheBusyScore) {
  const PluginScene scene{{{.name = "a", .inflight = 0}, {.name = "b", .inflight = 2}, {.name = "c", .inflight = 8}}};
  EXPECT_EQ(scene.scores(ActiveRequestScorer{{}}), (std::vector<float>{1.0F, 0.75F, 0.0F}));
  EXPECT_EQ(scene.scores(ActiveRequestScorer{{.idle_threshold = 2, .busy_score_max = 0.5F}}),
            (std::vector<float>{1.0F, 1.0F, 0.0F}));
  EXPECT_EQ(scene.scores(ActiveRequestScorer{{.idle_threshold = 1, .busy_score_max = 0.5F}}),
            (std::vector<float>{1.0F, 0.375F, 0.0F}));
}

}  // namespace
}  // namespace llmd::scheduling
