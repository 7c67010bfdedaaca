#include "scheduling/deciders/expected_latency_pd_decider.h"

#include <gtest/gtest.h>

#include <vector>

#include "model/link_table.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;

/// p0 and p1 may prefill, d2 and d3 decode. Alone d2 needs 1,000 ms to the first token and then 10 ms a token.
struct Case {
  Case() {
    request.prompt_tokens = 4'000;
    request.prefix.block_tokens = 100;
    for (LatencyPrediction& each : predictions) each = {.known = true, .ttft_deviation_ms = 1, .tpot_deviation_ms = 1};
    predictions[0].ttft_ms = 300;
    predictions[1].ttft_ms = 320;
    predictions[2].ttft_ms = predictions[3].ttft_ms = 1'000;
    for (const EndpointIndex d : {2U, 3U}) {
      predictions[d].tpot_ms = 10;
      predictions[d].output_tokens = 100;
      handoffs[d] = {.known = true, .base_ms = 20, .moved_ms = 10, .tpot_ms = 10};
    }
  }
  PairDecision choose(std::vector<EndpointIndex> decodes = {2, 3}) const {
    const PluginInput input{.request = request,
                            .endpoints = snapshot.endpoints,
                            .matched_blocks = matched,
                            .live = live,
                            .serves = {},
                            .now = kNow,
                            .metric_age_max = seconds{2},
                            .predictions = predictions,
                            .handoffs = handoffs,
                            .prefills = prefills,
                            .links = &links,
                            .chance = chance};
    return ExpectedLatencyPdDecider{{}}.choose(input, decodes);
  }

  EndpointSnapshot snapshot = testing::make_snapshot({{.name = "p0"}, {.name = "p1"}, {.name = "d2"}, {.name = "d3"}});
  RequestFacts request;
  std::vector<LatencyPrediction> predictions{4};
  std::vector<HandoffPrediction> handoffs{4};
  std::vector<std::uint32_t> matched = std::vector<std::uint32_t>(4, 0);
  std::vector<LiveLoad> live{4};
  std::vector<EndpointIndex> prefills{0, 1};
  LinkTable links{{}};
  double chance = 0.5;
};

TEST(ExpectedLatencyPdDecider, APrefillLegThatSavesTimeIsTaken) {
  const PairDecision pair = Case{}.choose();
  EXPECT_EQ(pair.route.route, StageRoute::kRun);
  EXPECT_EQ(pair.route.rule, "apart-costs-less");
  EXPECT_EQ(pair.prefill, 0U);
  EXPECT_EQ(pair.decode, 2U);
  EXPECT_LT(pair.route.observed, pair.route.limit);
}

TEST(ExpectedLatencyPdDecider, OneThatCostsMoreIsNot) {
  Case c;
  c.predictions[0].ttft_ms = c.predictions[1].ttft_ms = 5'000;  // their queues are long
  const PairDecision pair = c.choose();
  EXPECT_EQ(pair.route.route, StageRoute::kSkip);
  EXPECT_EQ(pair.route.rule, "here-costs-less");
  EXPECT_EQ(pair.prefill, kNoEndpointIndex);
  EXPECT_EQ(pair.decode, 2U);
}

TEST(ExpectedLatencyPdDecider, WhatOthersLoseToAPromptIsAReasonForALeg) {
  Case c;
  for (const EndpointIndex d : {2U, 3U}) c.predictions[d].ttft_ms = 280;  // by itself it would be quicker here
  EXPECT_EQ(c.choose().route.route, StageRoute::kSkip);
  for (const EndpointIndex d : {2U, 3U}) {
    c.predictions[d].prefill_ms = 250;
    c.live[d].requests = 40;
  }
  EXPECT_EQ(c.choose().route.route, StageRoute::kRun);
}

TEST(ExpectedLatencyPdDecider, TheLinkBetweenThemDecidesThePair) {
  Case c;
  // 4,000 tokens over a link a hundred times as slow as the reference are 4 s.
  c.links = LinkTable{{{.from = "p0", .to = "d2", .link = {.bandwidth_mbps = {10.0F, kNow}}},
                       {.from = "p0", .to = "d3", .link = {.bandwidth_mbps = {10.0F, kNow}}},
                       {.from = "p1", .to = "d2", .link = {.bandwidth_mbps = {10.0F, kNow}}}}};
  const PairDecision pair = c.choose();
  EXPECT_EQ(pair.prefill, 1U);
  EXPECT_EQ(pair.decode, 3U);
}

TEST(ExpectedLatencyPdDecider, WhatTheDecodeEndpointHoldsNeedNotCome) {
  Case c;
  c.handoffs[2].moved_ms = c.handoffs[3].moved_ms = 200;
  c.matched[3] = 39;
  EXPECT_EQ(c.choose().decode, 3U);
}

TEST(ExpectedLatencyPdDecider, WithoutDataAThresholdDecides) {
  Case c;
  c.handoffs.assign(4, {});
  EXPECT_EQ(c.choose().route.rule, "no-data-long");
  EXPECT_EQ(c.choose().prefill, 0U);
  c.chance = 0.01;  // legs are not known, so there is nothing else to learn first
  EXPECT_EQ(c.choose().route.rule, "no-data-long");
  c.request.prompt_tokens = 511;
  c.chance = 0.5;
  EXPECT_EQ(c.choose().route.rule, "no-data-short");
  EXPECT_EQ(c.choose().prefill, kNoEndpointIndex);
}

TEST(ExpectedLatencyPdDecider, OnceOneWayIsKnownSomeGoTheOther) {
  Case c;
  c.predictions[2] = c.predictions[3] = {};  // all had legs
  EXPECT_EQ(c.choose().route.rule, "no-data-long");
  c.chance = 0.05;
  EXPECT_EQ(c.choose().route.rule, "no-data-trial");
  EXPECT_EQ(c.choose().route.route, StageRoute::kSkip);
  Case none;
  none.handoffs.assign(4, {});  // none had
  none.request.prompt_tokens = 100;
  none.chance = 0.05;
  EXPECT_EQ(none.choose().route.rule, "no-data-trial");
  EXPECT_EQ(none.choose().prefill, 0U);
}

TEST(ExpectedLatencyPdDecider, AFewGoTheDearerWaySoThatBothStayKnown) {
  Case c;
  c.chance = 0.005;
  EXPECT_EQ(c.choose().route.rule, "trial");
  EXPECT_EQ(c.choose().route.route, StageRoute::kSkip);
}

TEST(ExpectedLatencyPdDecider, WithoutPrefillEndpointsTheFirstDecodes) {
  Case c;
  c.prefills.clear();
  EXPECT_EQ(c.choose({3, 2}).decode, 3U);
  EXPECT_EQ(c.choose().route.rule, "no-prefill-endpoint");
}

}  // namespace
}  // namespace llmd::scheduling
