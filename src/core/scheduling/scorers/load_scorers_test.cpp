#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "scheduling/scorers/load_aware_scorer.h"
#include "scheduling/scorers/lora_affinity_scorer.h"
#include "scheduling/scorers/token_load_scorer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

TEST(LoadAwareScorer, TopsAtHalfWhenNobodyWaits) {
  const PluginScene scene{{{.name = "a", .waiting = 0},
                           {.name = "b", .waiting = 32},
                           {.name = "c", .waiting = 128},
                           {.name = "d", .waiting = 1'000}}};
  EXPECT_EQ(scene.scores(*make_plugin(LoadAwareScorer::kSpec).scorer), (std::vector<float>{0.5F, 0.375F, 0.0F, 0.0F}));
}

TEST(LoadAwareScorer, TakesItsThresholdAndTheDefaultForNoneAboveZero) {
  const struct {
    std::int64_t threshold;
    float score;
  } cases[] = {{16, 0.25F}, {8, 0.0F}, {0, 0.46875F}, {-5, 0.46875F}};
  const PluginScene scene{{{.name = "a", .waiting = 8}}};
  for (const auto& c : cases) {
    const PluginObjects plugin = make_plugin(LoadAwareScorer::kSpec, parameters_of({{"threshold", c.threshold}}));
    EXPECT_EQ(scene.scores(*plugin.scorer), std::vector<float>{c.score}) << c.threshold;
  }
}

TEST(LoadAwareScorer, HasNoDataForMissingAndStaleQueues) {
  const PluginScene scene{{{.name = "missing"}, {.name = "stale", .waiting = 0, .metric_age = seconds{3}}}};
  const std::vector<float> scores = scene.scores(LoadAwareScorer{128});
  EXPECT_TRUE(std::isnan(scores[0]));
  EXPECT_TRUE(std::isnan(scores[1]));
}

TEST(LoadAwareScorer, RefusesAFraction) {
  EXPECT_EQ(refusal(LoadAwareScorer::kSpec, parameters_of({{"threshold", 1.5}})),
            "load-aware-scorer: threshold is 1.5; expected a whole number");
}

TEST(TokenLoadScorer, CountsWhatIsInFlightAndWhatThePromptAdds) {
  PluginScene scene{{{.name = "idle", .inflight_tokens = 0},
                     {.name = "busy", .inflight_tokens = 250},
                     {.name = "cached", .inflight_tokens = 250},
                     {.name = "full", .inflight_tokens = 900}}};
  scene.request.prompt_tokens = 250;
  scene.request.prefix = {.hashes = {1, 2, 3}, .block_tokens = 100};
  scene.matched_blocks = {0, 0, 2, 0};
  const PluginObjects plugin =
      make_plugin(TokenLoadScorer::kSpec, parameters_of({{"queueThresholdTokens", std::int64_t{1'000}}}));
  EXPECT_EQ(scene.scores(*plugin.scorer), (std::vector<float>{0.75F, 0.5F, 0.7F, 0.0F}));
  scene.matched_blocks = {0, 0, 3, 0};  // 300 tokens, of which the prompt has 250
  EXPECT_EQ(scene.scores(*plugin.scorer)[2], 0.75F);
  scene.matched_blocks = {};  // nobody says what is cached
  EXPECT_EQ(scene.scores(*plugin.scorer)[2], 0.5F);
}

TEST(TokenLoadScorer, GivesOneWhereNothingIsToDo) {
  const PluginScene scene{{{.name = "a"}}};
  EXPECT_EQ(scene.scores(*make_plugin(TokenLoadScorer::kSpec).scorer), std::vector<float>{1.0F});
}

TEST(TokenLoadScorer, TakesTheDefaultForNoThresholdAboveZero) {
  const PluginScene scene{{{.name = "a", .inflight_tokens = 1'048'576}}};
  for (const std::int64_t threshold : {0, -1, 4'194'304}) {
    const PluginObjects plugin =
        make_plugin(TokenLoadScorer::kSpec, parameters_of({{"queueThresholdTokens", threshold}}));
    EXPECT_EQ(scene.scores(*plugin.scorer), std::vector<float>{0.75F}) << threshold;
  }
}

void set_lora(PluginScene& scene, EndpointIndex i, LoraState lora, Duration age = {}) {
  scene.snapshot.endpoints[i].lora = {std::make_shared<const LoraState>(std::move(lora)), kNow - age};
}

TEST(LoraAffinityScorer, PrefersWhereTheAdapterRunsThenRoomThenWhereItWaits) {
  PluginScene scene{{{.name = "runs"}, {.name = "room"}, {.name = "waits"}, {.name = "full"}, {.name = "none"}}, "x"};
  set_lora(scene, 0, {.running = {"x", "y"}, .waiting = {"z"}, .adapters_max = 2});
  set_lora(scene, 1, {.running = {"y"}, .waiting = {"x"}, .adapters_max = 3});
  set_lora(scene, 2, {.running = {"y"}, .waiting = {"x"}, .adapters_max = 2});
  set_lora(scene, 3, {.running = {"y"}, .waiting = {"z"}, .adapters_max = 2});
  set_lora(scene, 4, {});
  EXPECT_EQ(scene.scores(*make_plugin(LoraAffinityScorer::kSpec).scorer),
            (std::vector<float>{1.0F, 0.8F, 0.6F, 0.0F, 0.0F}));
}

TEST(LoraAffinityScorer, HasNoDataWhereAdaptersAreUnknownOrStale) {
  PluginScene scene{{{.name = "missing"}, {.name = "stale"}, {.name = "null"}}};
  set_lora(scene, 1, {.running = {"m"}}, seconds{3});
  scene.snapshot.endpoints[2].lora = {std::shared_ptr<const LoraState>{}, kNow};
  for (const float score : scene.scores(LoraAffinityScorer{})) EXPECT_TRUE(std::isnan(score));
}

}  // namespace
}  // namespace llmd::scheduling
