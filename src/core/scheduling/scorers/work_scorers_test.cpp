#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using ::testing::ElementsAre;
using testing::EndpointSpec;
using ::testing::FloatEq;
using ::testing::IsNan;
using testing::kNow;
using testing::made_scorer;
using testing::PluginScene;

TEST(QueueTokensScorer, CountsTheLargerOfTheEnginesTokensAndOurs) {
  PluginScene scene{{{.name = "engine", .inflight_tokens = 100},
                     {.name = "ours", .inflight_tokens = 300},
                     {.name = "idle"},
                     {.name = "untold", .inflight_tokens = 0}}};
  scene.set_signal(0, Signal::kQueuedTokens, 400);
  scene.set_signal(1, Signal::kQueuedTokens, 50);
  scene.set_signal(2, Signal::kQueuedTokens, 0);
  // 400, 300 and 0 tokens.
  EXPECT_THAT(scene.scores(*made_scorer("queue-tokens-scorer")), ElementsAre(0.0F, 0.25F, 1.0F, IsNan()));
}

TEST(DecodeWorkScorer, StretchesTheTokensLeftOverTheCandidates) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}, {.name = "c"}}};
  scene.set_signal(0, Signal::kDecodeTokensLeft, 1'000);
  scene.set_signal(1, Signal::kDecodeTokensLeft, 200);
  scene.set_signal(2, Signal::kDecodeTokensLeft, 400);
  EXPECT_THAT(scene.scores(*made_scorer("decode-work-scorer")), ElementsAre(0.0F, 1.0F, 0.75F));
  scene.set_signal(0, Signal::kDecodeTokensLeft, 400);
  scene.candidates = {0, 2};
  EXPECT_THAT(scene.scores(*made_scorer("decode-work-scorer")), ElementsAre(1.0F, 1.0F));
}

TEST(CostScorer, TakesTheSignalBeforeTheLabel) {
  const std::string label = "llm-d.ai/cost-per-million-tokens";
  PluginScene scene{{{.name = "signal", .labels = {{label, "99"}}},
                     {.name = "label", .labels = {{label, " 2.5 "}}},
                     {.name = "stale", .labels = {{label, "4"}}},
                     {.name = "neither"}}};
  scene.set_signal(0, Signal::kCostPerMillionTokens, 2);
  scene.set_signal(2, Signal::kCostPerMillionTokens, 100, seconds{3});
  // 2, 2.5 and 4.
  EXPECT_THAT(scene.scores(*made_scorer("cost-scorer")), ElementsAre(1.0F, 0.75F, 0.0F, IsNan()));
}

TEST(CostScorer, ReadsOnlyLabelsThatAreNumbersOfAtLeastZero) {
  const std::string label = "llm-d.ai/cost-per-million-tokens";
  std::vector<EndpointSpec> specs;
  for (const char* text : {"", "cheap", "1.5x", "-1", "inf", "nan", "1e99", "0", "1e1"})
    specs.push_back({.name = fmt::format("{}", specs.size()), .labels = {{label, text}}});
  EXPECT_THAT(PluginScene{specs}.scores(*made_scorer("cost-scorer")),
              ElementsAre(IsNan(), IsNan(), IsNan(), IsNan(), IsNan(), IsNan(), IsNan(), 1.0F, 0.0F));
}

TEST(EnergyScorer, ReadsItsSignalAndALabelOfAnyName) {
  PluginScene scene{{{.name = "a", .labels = {{"llm-d.ai/joules-per-token", "3"}, {"watt", "1"}}}, {.name = "b"}}};
  scene.set_signal(1, Signal::kJoulesPerToken, 2);
  EXPECT_THAT(scene.scores(*made_scorer("energy-scorer")), ElementsAre(0.0F, 1.0F));
  EXPECT_THAT(scene.scores(*made_scorer("energy-scorer", {{"label", "watt"}})), ElementsAre(1.0F, 0.0F));
  EXPECT_THAT(scene.scores(*made_scorer("energy-scorer", {{"label", ""}})), ElementsAre(IsNan(), 1.0F));
}

/// Each endpoint has 100 blocks of 16 tokens, of which the share `kv_usage` is used.
struct CacheScene : PluginScene {
  explicit CacheScene(const std::vector<EndpointSpec>& specs) : PluginScene{specs} {
    for (EndpointState& state : snapshot.endpoints) {
      state.kv_blocks = {100, kNow};
      state.kv_block_tokens = {16, kNow};
    }
  }
};

TEST(KvCapacityScorer, IsTheShareOfTheRoomWantedThatIsFree) {
  CacheScene scene{{{.name = "empty", .kv_usage = 0.0F},
                    {.name = "ample", .kv_usage = 0.5F},
                    {.name = "half", .kv_usage = 0.75F},
                    {.name = "full", .kv_usage = 1.0F},
                    {.name = "beyond", .kv_usage = 1.5F}}};
  scene.request.prompt_tokens = 300;
  scene.request.output_tokens_max = 100;
  // 1,600, 800, 400, 0 and 0 tokens are free; twice 400 are wanted.
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer")), ElementsAre(1.0F, 1.0F, 0.5F, 0.0F, 0.0F));
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer", {{"roomFactor", 1.0}})),
              ElementsAre(1.0F, 1.0F, 1.0F, 0.0F, 0.0F));
}

TEST(KvCapacityScorer, NeedsNoRoomForWhatIsCached) {
  CacheScene scene{{{.name = "cold", .kv_usage = 0.75F}, {.name = "warm", .kv_usage = 0.75F}}};
  scene.request.prompt_tokens = 800;
  scene.request.prefix = {.hashes = {1, 2, 3, 4, 5, 6, 7}, .block_tokens = 100};
  scene.matched_blocks = {0, 6};
  scene.request.output_tokens_max = 200;
  // 400 tokens are free; twice 1,000 and twice 400 are wanted.
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer")), ElementsAre(0.2F, 0.5F));
}

TEST(KvCapacityScorer, ExpectsTheConfiguredAnswerOfAClientWithoutALimit) {
  CacheScene scene{{{.name = "a", .kv_usage = 0.75F}}};
  // 400 tokens are free; twice 512, twice 800, twice 0 are wanted.
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer")), ElementsAre(0.390625F));
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer", {{"outputTokens", std::int64_t{800}}})),
              ElementsAre(0.25F));
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer", {{"outputTokens", std::int64_t{0}}})), ElementsAre(1.0F));
}

TEST(KvCapacityScorer, HasNoDataUntilSizeAndUsageAreTold) {
  CacheScene scene{{{.name = "usage"},
                    {.name = "stale", .kv_usage = 0.0F, .metric_age = seconds{3}},
                    {.name = "blocks", .kv_usage = 0.0F},
                    {.name = "block size", .kv_usage = 0.0F},
                    {.name = "no blocks", .kv_usage = 0.0F},
                    {.name = "NaN", .kv_usage = kNoData}}};
  scene.snapshot.endpoints[2].kv_blocks = {};
  scene.snapshot.endpoints[3].kv_block_tokens = {16, kNow - seconds{3}};
  scene.snapshot.endpoints[4].kv_blocks = {0, kNow};
  EXPECT_THAT(scene.scores(*made_scorer("kv-capacity-scorer")), ::testing::Each(IsNan()));
  EXPECT_TRUE(PluginScene{{}}.scores(*made_scorer("kv-capacity-scorer")).empty());
}

}  // namespace
}  // namespace llmd::scheduling
