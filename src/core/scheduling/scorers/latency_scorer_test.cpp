#include "scheduling/scorers/latency_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

LatencyPrediction predicted(float ttft_ms, float tpot_ms) {
  return {.known = true, .ttft_ms = ttft_ms, .tpot_ms = tpot_ms};
}

/// Three endpoints that are busy; objectives of 100 ms and 10 ms.
struct LatencyScene : PluginScene {
  explicit LatencyScene(std::vector<LatencyPrediction> of_endpoints)
      : PluginScene{{{.name = "a", .inflight = 1}, {.name = "b", .inflight = 1}, {.name = "c", .inflight = 1}}} {
    request.slo_ttft_ms = 100.0F;
    request.slo_tpot_ms = 10.0F;
    predictions = std::move(of_endpoints);
  }
};

LatencyScorer streaming(LatencyScorer::Options options = {}) {
  return LatencyScorer{LatencyRules{.streaming = true}, options};
}

TEST(LatencyScorer, PrefersTheNearestToTheObjectives) {
  // Headroom of TTFT 80, 40, 0; of TPOT 8, 0, 4. c: 0.8 * 1 + 0.2 * 1 = 1; 0.8 * 0.5 + 0 = 0.4; 0 + 0.2 * 0.5 = 0.1.
  const LatencyScene scene{{predicted(20, 2), predicted(60, 10), predicted(100, 6)}};
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0.01F, 0.61F, 0.91F}));
}

TEST(LatencyScorer, PrefersTheMostHeadroomWhenToldTo) {
  const LatencyScene scene{{predicted(20, 2), predicted(60, 10), predicted(100, 6)}};
  // The best has (100 + 1) / 100, which the scheduler clamps.
  EXPECT_EQ(scene.scores(streaming({.most_headroom = true})), (std::vector<float>{1.01F, 0.41F, 0.11F}));
}

TEST(LatencyScorer, IgnoresTheTimePerTokenWithoutStreaming) {
  const LatencyScene scene{{predicted(20, 99), predicted(60, 99), predicted(100, 1)}};
  EXPECT_EQ(scene.scores(LatencyScorer{{}, {}}), (std::vector<float>{0.01F, 0.51F, 1.01F}));
}

TEST(LatencyScorer, DropsTheWeightOfADimensionThatIsTheSameEverywhere) {
  const LatencyScene scene{{predicted(50, 2), predicted(50, 6), predicted(50, 10)}};
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0.01F, 0.51F, 1.01F}));
  const LatencyScene equal{{predicted(50, 2), predicted(50, 2), predicted(50, 2)}};
  EXPECT_EQ(equal.scores(streaming()), std::vector<float>(3, 0.51F));
}

TEST(LatencyScorer, ScoresOnlyThoseThatMeetTheObjectivesIfThereAreAny) {
  const LatencyScene scene{{predicted(150, 2), predicted(50, 12), predicted(90, 2)}};
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0, 0, 0.51F}));
}

TEST(LatencyScorer, CountsAnEndpointWithoutPredictionAsJustMeeting) {
  LatencyScene scene{{predicted(50, 2), {}, predicted(150, 2)}};
  // Headroom 50 and 8 against 0 and 0.
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0.01F, 1.01F, 0}));
  scene.predictions[1] = predicted(std::numeric_limits<float>::quiet_NaN(), 1);
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0.01F, 1.01F, 0}));
}

TEST(LatencyScorer, PrefersIdleEndpointsWhenAllMissAnObjective) {
  LatencyScene scene{{predicted(150, 2), predicted(300, 2), predicted(200, 2)}};
  scene.snapshot.endpoints[1].inflight_requests = 0;
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0, 0.51F, 0}));
}

TEST(LatencyScorer, PrefersToMissTpotThenTtftThenBoth) {
  LatencyScene scene{{predicted(150, 20), predicted(150, 2), predicted(50, 20)}};
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0, 0, 0.51F}));
  scene.candidates = {0, 1};
  EXPECT_EQ(scene.scores(streaming()), (std::vector<float>{0, 0.51F}));
  scene.candidates = {0};
  EXPECT_EQ(scene.scores(streaming()), std::vector<float>{0.51F});
  scene.candidates.clear();
  EXPECT_TRUE(scene.scores(streaming()).empty());
}

TEST(LatencyScorer, PrefersTheSmallestMissEvenIfToldToTakeTheMostHeadroom) {
  const LatencyScene scene{{predicted(150, 2), predicted(200, 2), predicted(300, 2)}};
  // Misses of 50, 100 and 200.
  const std::vector<float> scores = scene.scores(streaming({.most_headroom = true}));
  EXPECT_EQ(scores, (std::vector<float>{1.01F, 0.67F, 0.01F}));
}

TEST(LatencyScorer, OrdersARequestWithoutObjectivesByItsPredictions) {
  LatencyScene scene{{predicted(50, 2), predicted(100, 2), predicted(150, 2)}};
  scene.request.slo_ttft_ms.reset();
  scene.request.slo_tpot_ms.reset();
  EXPECT_EQ(scene.scores(LatencyScorer{{}, {}}), (std::vector<float>{1.01F, 0.51F, 0.01F}));
}

TEST(LatencyScorer, FallsBackToKvQueueAndPrefixWithoutPredictions) {
  PluginScene scene{{{.name = "a", .waiting = 0, .kv_usage = 0.5F},
                     {.name = "b", .waiting = 10, .kv_usage = 0.25F},
                     {.name = "c", .waiting = 5, .kv_usage = 1.0F},
                     {.name = "no queue", .kv_usage = 0.0F},
                     {.name = "stale", .waiting = 1, .kv_usage = 0.0F, .metric_age = seconds{3}}}};
  scene.request.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  scene.matched_blocks = {0, 4, 1, 0, 0};
  std::vector<float> scores = scene.scores(*make_plugin(LatencyScorer::kSpec).scorer);
  EXPECT_EQ(scores[0], 0.5F);   // (0.5 + 1 + 0) / 3
  EXPECT_EQ(scores[1], 0.58F);  // (0.75 + 0 + 1) / 3 = 0.5833
  EXPECT_EQ(scores[2], 0.25F);  // (0 + 0.5 + 0.25) / 3
  EXPECT_TRUE(std::isnan(scores[3]));
  EXPECT_TRUE(std::isnan(scores[4]));
  // What has no weight need not be known; without any weight KV memory counts.
  const LatencyScorer kv{{}, {.kv_weight = 0, .queue_weight = 0, .prefix_weight = 0}};
  EXPECT_EQ(scene.scores(kv)[3], 1.0F);
  scene.predictions.resize(5);  // a producer that knows nothing yet
  EXPECT_EQ(scene.scores(*make_plugin(LatencyScorer::kSpec).scorer)[0], 0.5F);
}

TEST(LatencyScorer, ReadsHowTheProducerIsConfigured) {
  SchedulingConfig config;
  config.plugins.push_back({.name = "p", .type = "predicted-latency-producer"});
  config.plugins.back().parameters = parameters_of(
      {{"streamingMode", true}, {"sloBufferFactor", 0.5}, {"endpointRoleLabel", std::string{"llm-d.ai/role"}}});
  const PluginObjects plugin = make_plugin(
      LatencyScorer::kSpec, parameters_of({{"latencyPredictionInfoProducerName", std::string{"p"}}}), &config);
  PluginScene scene{
      {{.name = "decode", .role = "decode", .inflight = 1}, {.name = "prefill", .role = "prefill", .inflight = 1}}};
  scene.request.slo_ttft_ms = 100.0F;
  scene.request.slo_tpot_ms = 10.0F;
  scene.predictions = {predicted(50, 6), predicted(50, 6)};
  // The buffered objective is 5 ms, but an endpoint that only prefills makes no tokens.
  EXPECT_EQ(scene.scores(*plugin.scorer), (std::vector<float>{0, 0.51F}));
  EXPECT_EQ(scene.scores(*make_plugin(LatencyScorer::kSpec, {}, &config).scorer), (std::vector<float>{0, 0.51F}));
  config.plugins.back().parameters.set("sloBufferFactor", std::int64_t{1});
  EXPECT_EQ(scene.scores(*make_plugin(LatencyScorer::kSpec, {}, &config).scorer), (std::vector<float>{0.01F, 1.01F}));
}

TEST(LatencyScorer, RefusesNegativeWeightsAndUnknownStrategies) {
  EXPECT_EQ(refusal(LatencyScorer::kSpec, parameters_of({{"ttftWeight", -0.5}})),
            "latency-scorer: ttftWeight is -0.5; expected a number from 0 to 1000000000000000");
  EXPECT_EQ(refusal(LatencyScorer::kSpec, parameters_of({{"headroomSelectionStrategy", std::string{"best"}}})),
            "latency-scorer: headroomSelectionStrategy is \"best\"; expected one of least, most");
}

}  // namespace
}  // namespace llmd::scheduling
