#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "scheduling/filters/header_based_testing_filter.h"
#include "scheduling/filters/prefix_cache_affinity_filter.h"
#include "scheduling/filters/slo_headroom_tier_filter.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;
using testing::refusal;
using Names = std::vector<std::string>;
using namespace std::string_literals;

/// Of five blocks sticky holds four, other one.
struct PrefixScene : PluginScene {
  explicit PrefixScene(std::uint64_t sticky_tokens = 0, std::uint64_t other_tokens = 0)
      : PluginScene{{{.name = "other", .inflight_tokens = other_tokens},
                     {.name = "sticky", .inflight_tokens = sticky_tokens}}} {
    request.prefix = {.hashes = {1, 2, 3, 4, 5}, .block_tokens = 64};
    matched_blocks = {1, 4};
  }
};

TEST(PrefixCacheAffinityFilter, KeepsTheStickyOnes) {
  const PrefixScene scene;
  const PrefixCacheAffinityFilter filter{{}};
  EXPECT_EQ(scene.kept(filter), Names{"sticky"});
  EXPECT_EQ(scene.reason(filter, 0), "holds 20% of the prompt; others hold the wanted 80%");
}

TEST(PrefixCacheAffinityFilter, KeepsAllWithoutStickyOnes) {
  PrefixScene scene;
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{.ratio_min = 0.81}}).size(), 2U);
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{.ratio_min = 0.0}}).size(), 2U);
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{.ratio_min = -1.0}}).size(), 2U);
  scene.request.prefix.hashes.clear();
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{}}).size(), 2U);
  PrefixScene unmatched;
  unmatched.matched_blocks.clear();
  EXPECT_EQ(unmatched.kept(PrefixCacheAffinityFilter{{}}).size(), 2U);
}

TEST(PrefixCacheAffinityFilter, KeepsNoneOfNoneAndTheOnlyOne) {
  PrefixScene scene;
  scene.candidates = {0};
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{}}), Names{"other"});
  scene.candidates.clear();
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{}}), Names{});
}

TEST(PrefixCacheAffinityFilter, LetsGoWhereStickingCostsTooMuch) {
  // 1,000 tokens a second: each token in flight is a millisecond.
  const PrefixCacheAffinityFilter filter{{.penalty_ms_max = 500, .tokens_per_s = 1'000}};
  EXPECT_EQ(PrefixScene(600, 100).kept(filter), Names{"sticky"});
  EXPECT_EQ(PrefixScene(601, 100).kept(filter), (Names{"other", "sticky"}));
  const PrefixCacheAffinityFilter always{{.penalty_ms_max = 0, .tokens_per_s = 0}};
  EXPECT_EQ(PrefixScene(1'000'000, 0).kept(always), Names{"sticky"});
}

TEST(PrefixCacheAffinityFilter, ComparesPredictionsAndTakesMissingOnesForSlowest) {
  const PrefixCacheAffinityFilter filter{{.penalty_ms_max = 100, .predicted = true}};
  const auto kept = [&](LatencyPrediction other, LatencyPrediction sticky) {
    PrefixScene scene;
    scene.predictions = {other, sticky};
    return scene.kept(filter).size();
  };
  const LatencyPrediction none{};
  const LatencyPrediction nan{.known = true, .ttft_ms = std::nanf("")};
  EXPECT_EQ(kept({.known = true, .ttft_ms = 50}, {.known = true, .ttft_ms = 150}), 1U);
  EXPECT_EQ(kept({.known = true, .ttft_ms = 50}, {.known = true, .ttft_ms = 151}), 2U);
  EXPECT_EQ(kept(none, {.known = true, .ttft_ms = 1e6F}), 1U);
  EXPECT_EQ(kept({.known = true, .ttft_ms = 50}, none), 2U);
  EXPECT_EQ(kept({.known = true, .ttft_ms = 50}, nan), 2U);
  EXPECT_EQ(kept(none, none), 1U);
  EXPECT_EQ(PrefixScene(0, 0).kept(filter), Names{"sticky"});
}

TEST(PrefixCacheAffinityFilter, ExploresByChance) {
  PrefixScene scene;
  const PrefixCacheAffinityFilter filter{{.exploration = 0.25}};
  scene.chance = 0.2;
  EXPECT_EQ(scene.kept(filter).size(), 2U);
  scene.chance = 0.25;
  EXPECT_EQ(scene.kept(filter).size(), 1U);
  scene.chance = 0;
  EXPECT_EQ(scene.kept(PrefixCacheAffinityFilter{{}}).size(), 1U);
}

TEST(PrefixCacheAffinityFilter, RefusesWhatLlmdRefuses) {
  const std::string type = "prefix-cache-affinity-filter";
  EXPECT_EQ(refusal(type, {}), "");
  EXPECT_EQ(refusal(type, {{"affinityThreshold", 1.5}}),
            type + ": affinityThreshold is 1.5; expected a number from -1000000000000000 to 1");
  EXPECT_EQ(refusal(type, {{"explorationProbability", 1.5}}),
            type + ": explorationProbability is 1.5; expected a number from 0 to 1");
  EXPECT_EQ(refusal(type, {{"maxTTFTPenaltyMs", -1.0}}),
            type + ": maxTTFTPenaltyMs is -1; expected a number from 0 to 1000000000000000");
  EXPECT_EQ(refusal(type, {{"ttftSource", ""s}}),
            type + ": ttftSource is \"\"; expected one of prefillThroughput, latencyPredictor");
  EXPECT_EQ(refusal(type, {{"peakPrefillThroughput", 0.0}}),
            type + ": peakPrefillThroughput is 0; expected more with ttftSource prefillThroughput");
  EXPECT_EQ(refusal(type, {{"peakPrefillThroughput", 0.0}, {"maxTTFTPenaltyMs", 0.0}}), "");
  EXPECT_EQ(refusal(type, {{"peakPrefillThroughput", 0.0}, {"ttftSource", "latencyPredictor"s}}), "");
}

/// good meets an objective of 100 ms, bad does not, unknown has no prediction.
struct TierScene : PluginScene {
  TierScene() : PluginScene{{{.name = "bad"}, {.name = "good"}, {.name = "unknown"}}} {
    request.slo_ttft_ms = 100;
    predictions = {{.known = true, .ttft_ms = 120}, {.known = true, .ttft_ms = 100}, {}};
  }
};

TEST(SloHeadroomTierFilter, KeepsThoseThatMeetTheObjectives) {
  const TierScene scene;
  const SloHeadroomTierFilter filter{{}};
  EXPECT_EQ(scene.kept(filter), Names{"good"});
  EXPECT_EQ(scene.reason(filter, 0), "TTFT is predicted 20 ms too long; wanted one that meets the objectives");
  EXPECT_EQ(scene.reason(filter, 2), "nothing is predicted; wanted one that meets the objectives");
}

TEST(SloHeadroomTierFilter, TriesTheOthersNowAndThen) {
  TierScene scene;
  const SloHeadroomTierFilter filter{{.exploration = 0.01}};
  scene.chance = 0.009;
  EXPECT_EQ(scene.kept(filter), (Names{"bad", "unknown"}));
  EXPECT_EQ(scene.reason(filter, 1), "meets the objectives; this time one that does not is tried");
  scene.chance = 0.01;
  EXPECT_EQ(scene.kept(filter), Names{"good"});
}

TEST(SloHeadroomTierFilter, KeepsAllWhereThereIsOneTier) {
  const SloHeadroomTierFilter filter{{}};
  TierScene nothing_asked;
  nothing_asked.request.slo_ttft_ms.reset();
  EXPECT_EQ(nothing_asked.kept(filter).size(), 3U);
  TierScene nothing_predicted;
  nothing_predicted.predictions.clear();
  EXPECT_EQ(nothing_predicted.kept(filter).size(), 3U);
  TierScene all_bad;
  all_bad.request.slo_ttft_ms = 10;
  EXPECT_EQ(all_bad.kept(filter).size(), 3U);
  TierScene all_good;
  all_good.candidates = {1};
  all_good.chance = 0;
  EXPECT_EQ(all_good.kept(filter), Names{"good"});
  all_good.candidates.clear();
  EXPECT_EQ(all_good.kept(filter), Names{});
}

TEST(SloHeadroomTierFilter, TakesNotANumberForNoPrediction) {
  TierScene scene;
  scene.predictions[1].ttft_ms = std::nanf("");
  EXPECT_EQ(scene.kept(SloHeadroomTierFilter{{}}).size(), 3U);
  EXPECT_EQ(scene.reason(SloHeadroomTierFilter{{}}, 1), "nothing is predicted; wanted one that meets the objectives");
}

TEST(SloHeadroomTierFilter, RefusesAProbabilityBeyondOne) {
  EXPECT_EQ(refusal("slo-headroom-tier-filter", {{"epsilonExploreNeg", 1.5}}),
            "slo-headroom-tier-filter: epsilonExploreNeg is 1.5; expected a number from 0 to 1");
}

TEST(HeaderBasedTestingFilter, KeepsTheAddressesThatTheHeaderLists) {
  PluginScene scene{
      {{.name = "10.0.0.1:8000"}, {.name = "10.0.0.1:8001"}, {.name = "10.0.0.2:8000"}, {.name = "[fd00::1]:8000"}}};
  const struct {
    std::string header;
    Names kept;
  } cases[] = {
      {"10.0.0.1", {"10.0.0.1:8000", "10.0.0.1:8001"}},
      {"10.0.0.1:8001", {"10.0.0.1:8001"}},
      {" 10.0.0.2 ,, 10.0.0.1:8000,10.0.0.2", {"10.0.0.1:8000", "10.0.0.2:8000"}},
      {"fd00::1", {"[fd00::1]:8000"}},
      {"[fd00::1]", {"[fd00::1]:8000"}},
      {"[fd00::1]:8000", {"[fd00::1]:8000"}},
      {"[fd00::1]:9", {}},
      {"10.0.0.1:9", {}},
      {"10.0.0.9", {}},
      {"", {}},
      {"  ", {}},
      {"[", {}},
  };
  for (const auto& c : cases) {
    scene.request.headers = {{"test-epp-endpoint-selection", c.header}};
    EXPECT_EQ(scene.kept(HeaderBasedTestingFilter{}), c.kept) << c.header;
  }
  scene.request.headers.clear();
  EXPECT_EQ(scene.kept(HeaderBasedTestingFilter{}), Names{});
  EXPECT_EQ(scene.reason(HeaderBasedTestingFilter{}, 0),
            "is 10.0.0.1:8000; wanted one that test-epp-endpoint-selection lists");
  Names headers;
  HeaderBasedTestingFilter{}.headers_read(headers);
  EXPECT_EQ(headers, Names{"test-epp-endpoint-selection"});
}

TEST(HeaderBasedTestingFilter, NeverFindsASocketAndLooksAt64Entries) {
  PluginScene scene{{{.name = "10.0.0.1:8000"}, {.name = "b"}}};
  Endpoint socket = *scene.snapshot.endpoints[1].endpoint;
  socket.url = "unix:/run/b";
  scene.snapshot.endpoints[1].endpoint = std::make_shared<const Endpoint>(socket);
  scene.request.headers = {{"test-epp-endpoint-selection", "/run/b,unix:/run/b," + std::string(61, ',') + "10.0.0.1"}};
  EXPECT_EQ(scene.kept(HeaderBasedTestingFilter{}), Names{"10.0.0.1:8000"});
  scene.request.headers.front().second.insert(0, ",");
  EXPECT_EQ(scene.kept(HeaderBasedTestingFilter{}), Names{});
}

}  // namespace
}  // namespace llmd::scheduling
