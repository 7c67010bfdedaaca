#include "scheduling/scorers/no_hit_lru_scorer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;

/// Five endpoints and what the scorer remembers.
struct ColdScene : PluginScene {
  explicit ColdScene(const Parameters& parameters = {})
      : PluginScene{{{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}, {.name = "e"}}},
        plugin{make_plugin(NoHitLruScorer::kSpec, parameters)} {
    memory = plugin.scorer->make_memory();
    matched_blocks.assign(5, 0);
  }
  void send(EndpointIndex decode, EndpointIndex prefill = kNoEndpointIndex, bool cached_anywhere = false) {
    Decision decision{.outcome = Decision::Outcome::kDispatch,
                      .decode = snapshot.endpoints[decode].endpoint,
                      .cached_anywhere = cached_anywhere};
    if (prefill != kNoEndpointIndex) decision.prefill = snapshot.endpoints[prefill].endpoint;
    plugin.scorer->sent({request, decision, kNow}, *memory);
  }
  [[nodiscard]] std::vector<float> scores() const { return PluginScene::scores(*plugin.scorer); }

  PluginObjects plugin;
};

using Scores = std::vector<float>;

TEST(NoHitLruScorer, RanksNeverUsedOnesFirstAndThenTheLongestUnused) {
  ColdScene scene;
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.75F, 0.5F, 0.25F, 0.0F}));
  scene.send(1);
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.0F, 0.75F, 0.5F, 0.25F}));
  scene.send(0);
  EXPECT_EQ(scene.scores(), (Scores{0.0F, 0.25F, 1.0F, 0.75F, 0.5F}));
  scene.send(1);
  EXPECT_EQ(scene.scores(), (Scores{0.25F, 0.0F, 1.0F, 0.75F, 0.5F}));
}

TEST(NoHitLruScorer, RanksTheCandidatesAmongThemselves) {
  ColdScene scene;
  for (const EndpointIndex i : {3U, 4U, 2U, 0U}) scene.send(i);
  scene.candidates = {0, 1, 2};
  EXPECT_EQ(scene.scores(), (Scores{0.0F, 1.0F, 0.5F}));
}

TEST(NoHitLruScorer, CountsThePrefillEndpointAsUsedAfterTheDecodeEndpoint) {
  ColdScene scene;
  scene.send(1, 0);
  scene.candidates = {0, 1};
  EXPECT_EQ(scene.scores(), (Scores{0.0F, 1.0F}));
}

TEST(NoHitLruScorer, IsNeutralWhenACandidateHasABlock) {
  ColdScene scene;
  scene.matched_blocks = {0, 0, 1, 0, 0};
  EXPECT_EQ(scene.scores(), Scores(5, 0.5F));
  scene.candidates = {0, 1};  // neither of which has it
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.0F}));
}

TEST(NoHitLruScorer, RemembersColdRequestsOnly) {
  ColdScene scene;
  scene.send(0, kNoEndpointIndex, true);
  EXPECT_EQ(scene.scores()[0], 1.0F);
}

TEST(NoHitLruScorer, GivesOneToTheOnlyCandidateAndNothingToNobody) {
  ColdScene scene;
  scene.candidates = {3};
  EXPECT_EQ(scene.scores(), Scores{1.0F});
  scene.candidates.clear();
  EXPECT_TRUE(scene.scores().empty());
}

TEST(NoHitLruScorer, TakesTheSnapshotsOrderWithoutMemoryAndColdWithoutAProducer) {
  ColdScene scene;
  scene.send(0);
  scene.memory.reset();
  scene.matched_blocks = {};
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.75F, 0.5F, 0.25F, 0.0F}));
}

TEST(NoHitLruScorer, ForgetsTheLongestUnusedBeyondItsSize) {
  ColdScene scene{parameters_of({{"lruSize", std::int64_t{2}}})};
  for (const EndpointIndex i : {0U, 1U, 2U}) scene.send(i);
  // a is forgotten, so it is as if it was never used.
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.25F, 0.0F, 0.75F, 0.5F}));
}

TEST(NoHitLruScorer, TakesTheDefaultForNoSizeAboveZero) {
  ColdScene scene{parameters_of({{"lruSize", std::int64_t{0}}})};
  for (const EndpointIndex i : {0U, 1U, 2U, 3U, 4U}) scene.send(i);
  EXPECT_EQ(scene.scores(), (Scores{1.0F, 0.75F, 0.5F, 0.25F, 0.0F}));
}

}  // namespace
}  // namespace llmd::scheduling
