#include "scheduling/latency_objectives.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "scheduling/filters/slo_headroom_tier_filter.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;
using namespace std::string_literals;

constexpr float kInfinite = std::numeric_limits<float>::infinity();

TEST(LatencyHeadroom, IsWhatIsLeftOfTheObjectives) {
  const struct {
    std::string name;
    LatencyRules rules;
    std::optional<float> slo_ttft;
    std::optional<float> slo_tpot;
    LatencyPrediction prediction;
    float ttft;
    float tpot;
    bool met;
  } cases[] = {
      {"only TTFT counts", {}, 100, 10, {.known = true, .ttft_ms = 60, .tpot_ms = 90}, 40, kInfinite, true},
      {"just as fast", {}, 60, {}, {.known = true, .ttft_ms = 60}, 0, kInfinite, false},
      {"too slow", {}, 50, {}, {.known = true, .ttft_ms = 60}, -10, kInfinite, false},
      {"both", {.streaming = true}, 100, 10, {.known = true, .ttft_ms = 60, .tpot_ms = 8}, 40, 2, true},
      {"buffer", {.streaming = true, .slo_buffer = 0.5F}, 100, 10, {.known = true, .tpot_ms = 8}, 100, -3, false},
      {"tighter one runs there",
       {.streaming = true},
       100,
       10,
       {.known = true, .tpot_ms = 8, .tpot_slo_running_ms = 6},
       100,
       -2,
       false},
      {"looser one runs there",
       {.streaming = true},
       100,
       10,
       {.known = true, .tpot_ms = 8, .tpot_slo_running_ms = 60},
       100,
       2,
       true},
      {"running requests ask nothing",
       {.streaming = true},
       100,
       10,
       {.known = true, .tpot_ms = 8, .tpot_slo_running_ms = 0},
       100,
       2,
       true},
      {"no TTFT asked", {.streaming = true}, {}, 10, {.known = true, .ttft_ms = 60, .tpot_ms = 8}, kInfinite, 2, true},
      {"no TPOT asked", {.streaming = true}, 100, {}, {.known = true, .tpot_ms = 8}, 100, kInfinite, true},
      {"zero asks nothing", {}, 0, {}, {.known = true, .ttft_ms = 60}, kInfinite, kInfinite, true},
  };
  for (const auto& c : cases) {
    PluginScene scene{{{.name = "a"}}};
    scene.request.slo_ttft_ms = c.slo_ttft;
    scene.request.slo_tpot_ms = c.slo_tpot;
    scene.predictions = {c.prediction};
    const auto headroom = latency_headroom(c.rules, scene.input(), 0);
    ASSERT_TRUE(headroom.has_value()) << c.name;
    EXPECT_EQ(headroom->ttft_ms, c.ttft) << c.name;
    EXPECT_EQ(headroom->tpot_ms, c.tpot) << c.name;
    EXPECT_EQ(headroom->met(), c.met) << c.name;
    EXPECT_EQ(headroom->positive(), c.ttft >= 0 && c.tpot >= 0) << c.name;
  }
}

TEST(LatencyHeadroom, TakesAnAbsentObjectiveForZeroWhereEndpointsAreRanked) {
  PluginScene scene{{{.name = "a"}}};
  scene.predictions = {{.known = true, .ttft_ms = 60, .tpot_ms = 8}};
  const auto first = latency_headroom({}, scene.input(), 0, AbsentObjective::kZero);
  EXPECT_EQ(first->ttft_ms, -60);
  EXPECT_EQ(first->tpot_ms, 0);
  EXPECT_EQ(latency_headroom({.streaming = true}, scene.input(), 0, AbsentObjective::kZero)->tpot_ms, -8);
}

TEST(LatencyHeadroom, IsNoneWithoutAPrediction) {
  PluginScene scene{{{.name = "a"}}};
  EXPECT_FALSE(latency_headroom({}, scene.input(), 0).has_value());
  scene.predictions = {{}};
  EXPECT_FALSE(latency_headroom({}, scene.input(), 0).has_value());
  scene.predictions = {{.known = true, .ttft_ms = 1, .tpot_ms = std::nanf("")}};
  EXPECT_FALSE(latency_headroom({}, scene.input(), 0).has_value());
}

TEST(LatencyObjective, IsOneThatPredictionsAreHeldAgainst) {
  RequestFacts request;
  EXPECT_FALSE(has_latency_objective({.streaming = true}, request));
  request.slo_tpot_ms = 10;
  EXPECT_TRUE(has_latency_objective({.streaming = true}, request));
  EXPECT_FALSE(has_latency_objective({}, request));
  request.slo_ttft_ms = std::nanf("");
  EXPECT_FALSE(has_latency_objective({}, request));
  request.slo_ttft_ms = 10;
  EXPECT_TRUE(has_latency_objective({}, request));
}

SchedulingConfig with_producer(std::string name, std::string type, const testing::GivenParameters& settings) {
  return {
      .plugins = {{.name = std::move(name), .type = std::move(type), .parameters = testing::parameters_of(settings)}}};
}

Result<LatencyRules> rules_of(const testing::GivenParameters& own, const SchedulingConfig& config) {
  const Parameters parameters = testing::parameters_of(own);
  return latency_rules({SloHeadroomTierFilter::kSpec.parameters, parameters, &config});
}

TEST(LatencyRules, AreThoseOfTheProducer) {
  const testing::GivenParameters settings{
      {"streamingMode", true}, {"sloBufferFactor", 0.5}, {"endpointRoleLabel", "role"s}};
  const std::string type = "predicted-latency-producer";
  const auto usual = rules_of({}, with_producer(type, type, settings));
  ASSERT_TRUE(usual.has_value());
  EXPECT_TRUE(usual->streaming);
  EXPECT_EQ(usual->slo_buffer, 0.5F);
  EXPECT_EQ(usual->role_label, "role");
  EXPECT_TRUE(rules_of({{"latencyPredictionInfoProducerName", "p"s}}, with_producer("p", type, settings))->streaming);
  EXPECT_TRUE(rules_of({}, with_producer("p", type, settings))->streaming) << "the only one";
  EXPECT_FALSE(
      rules_of({{"latencyPredictionInfoProducerName", "p"s}}, with_producer("p", "token-producer", {}))->streaming);
  EXPECT_FALSE(rules_of({}, {})->streaming);
}

TEST(LatencyRules, RefuseAProducerWithWrongParameters) {
  const std::string type = "predicted-latency-producer";
  const auto rules = rules_of({}, with_producer(type, type, {{"streamingMode", "yes"s}}));
  ASSERT_FALSE(rules.has_value());
  EXPECT_EQ(rules.error().what, "predicted-latency-producer: streamingMode is \"yes\"; expected true or false");
}

TEST(LatencyRules, LeavePrefillEndpointsWithoutATimePerToken) {
  PluginScene scene{{{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}, {.name = "n"}}};
  scene.request.slo_ttft_ms = 100;
  scene.request.slo_tpot_ms = 10;
  scene.predictions.assign(3, {.known = true, .ttft_ms = 50, .tpot_ms = 20});
  const SloHeadroomTierFilter filter{{.rules = {.streaming = true, .role_label = std::string{kRoleLabel}}}};
  EXPECT_EQ(scene.kept(filter), std::vector<std::string>{"p"});
  EXPECT_EQ(scene.reason(filter, 1), "TPOT is predicted 10 ms too long; wanted one that meets the objectives");
}

}  // namespace
}  // namespace llmd::scheduling
