#include "scheduling/scorers/expected_latency_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

LatencyPrediction predicted(float ttft_ms, float tpot_ms, float prefill_ms = 0, float sequence_ms = 0) {
  return {.known = true,
          .ttft_ms = ttft_ms,
          .tpot_ms = tpot_ms,
          .ttft_deviation_ms = 0.1F * ttft_ms,
          .tpot_deviation_ms = 0.1F * tpot_ms,
          .prefill_ms = prefill_ms,
          .sequence_ms = sequence_ms,
          .output_tokens = 100};
}

std::vector<float> scores_of(const std::vector<LatencyPrediction>& predictions, const std::vector<LiveLoad>& live,
                             std::optional<float> ttft_objective = {}, CostOptions options = {}) {
  std::vector<testing::EndpointSpec> specs;
  std::vector<EndpointIndex> candidates;
  for (std::size_t i = 0; i < live.size(); ++i) {
    specs.push_back({.name = fmt::format("e{}", i)});
    candidates.push_back(static_cast<EndpointIndex>(i));
  }
  const EndpointSnapshot snapshot = testing::make_snapshot(specs);
  const RequestFacts request{.slo_ttft_ms = ttft_objective};
  const PluginInput input{.request = request,
                          .endpoints = snapshot.endpoints,
                          .matched_blocks = {},
                          .live = live,
                          .serves = {},
                          .now = testing::kNow,
                          .metric_age_max = seconds{2},
                          .predictions = predictions};
  std::vector<float> scores(live.size());
  ExpectedLatencyScorer{options}.score(input, candidates, scores);
  return scores;
}

TEST(ExpectedLatencyScorer, TheFasterEndpointWins) {
  const auto scores = scores_of({predicted(200, 10), predicted(400, 10)}, {{}, {}});
  EXPECT_EQ(scores[0], 1);
  EXPECT_LT(scores[1], 0.95F);
}

TEST(ExpectedLatencyScorer, WithoutPredictionsItHasNoWord) {
  for (const float score : scores_of({}, {{}, {}})) EXPECT_TRUE(std::isnan(score));
  const auto scores = scores_of({predicted(200, 10), {}}, {{}, {}});
  EXPECT_EQ(scores[0], 1);
  EXPECT_TRUE(std::isnan(scores[1]));
}

TEST(ExpectedLatencyScorer, AnObjectiveThatWouldBeMissedOutweighsAFewTokensTime) {
  const std::vector<LatencyPrediction> predictions{predicted(900, 10), predicted(600, 20)};
  EXPECT_EQ(scores_of(predictions, {{}, {}}, 5'000.0F)[0], 1);
  EXPECT_EQ(scores_of(predictions, {{}, {}}, 700.0F)[1], 1);
}

TEST(ExpectedLatencyScorer, CountsWhatOthersLose) {
  // Here 200 ms of prefill would stop fifty answers; there nobody.
  const std::vector<LatencyPrediction> predictions{predicted(300, 10, 200, 0.1F), predicted(320, 10, 200, 0.1F)};
  const std::vector<LiveLoad> live{{.requests = 50}, {}};
  EXPECT_EQ(scores_of(predictions, live)[1], 1);
  EXPECT_EQ(scores_of(predictions, live, {}, {.harm_weight = 0})[0], 1);
}

TEST(ExpectedLatencyScorer, APatientRequestHarmsOthersNoLess) {
  const std::vector<LatencyPrediction> predictions{predicted(3'000, 10, 2'000, 1), predicted(5'000, 10, 2'000, 1)};
  EXPECT_EQ(scores_of(predictions, {{.requests = 60}, {}}, 1e6F)[1], 1);
}

TEST(ExpectedLatencyScorer, SparesAnEndpointForThoseWhoWouldNotGoElsewhere) {
  // Three such prompts a second keep coming to the first one. Where they are as well served next door, it loses
  // nothing.
  std::vector<LatencyPrediction> predictions{predicted(500, 10, 400), predicted(600, 10, 400)};
  predictions[0].arrivals_per_s = 3;
  predictions[0].prefill_share = 0.6F;
  predictions[0].advantage_ms = 2'000;
  EXPECT_EQ(scores_of(predictions, {{}, {}})[1], 1);
  predictions[0].advantage_ms = 20;
  EXPECT_EQ(scores_of(predictions, {{}, {}})[0], 1);
}

TEST(ExpectedLatencyScorer, MindsLittleHowMuchQuickerQuickTokensCome) {
  // Three ms a token are dearer than 100 ms before the first one where answers come at half the objective, and cheaper
  // where they come at an eighth of it.
  EXPECT_EQ(scores_of({predicted(300, 25), predicted(200, 28)}, {{}, {}})[0], 1);
  EXPECT_EQ(scores_of({predicted(300, 6), predicted(200, 9)}, {{}, {}})[1], 1);
}

TEST(ExpectedLatencyScorer, ScoresAreBetweenZeroAndOne) {
  const auto scores = scores_of({predicted(1, 0.1F), predicted(1e6, 1e4F, 1e6, 1e4F), predicted(0, 0)},
                                {{.requests = 0}, {.requests = 4'000}, {}});
  for (const float score : scores) {
    EXPECT_GE(score, 0);
    EXPECT_LE(score, 1);
  }
}

}  // namespace
}  // namespace llmd::scheduling
