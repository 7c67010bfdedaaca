#include "flow/saturation_gate.h"

#include <gtest/gtest.h>

#include "scheduling/testing/pool.h"

namespace llmd::flow {
namespace {

using scheduling::LiveLoad;
using scheduling::testing::EndpointSpec;
using scheduling::testing::kNow;
using scheduling::testing::make_snapshot;

SaturationGate make_gate(const std::string& detector = "utilization-detector") {
  FlowConfig flow;
  flow.saturation_detector = detector;
  auto gate = SaturationGate::make(flow, {});
  EXPECT_TRUE(gate.has_value());
  return *std::move(gate);
}

GateReading read(SaturationGate& gate, const EndpointSnapshot& snapshot, const std::vector<LiveLoad>& live,
                 TimePoint now = kNow, std::uint64_t undecided = 0) {
  return gate.read({.snapshot = snapshot, .live = live, .undecided = undecided, .now = now});
}

TEST(SaturationGate, CountsWhatWasSentAndWhatEndedSinceTheReading) {
  SaturationGate gate = make_gate();
  EndpointSnapshot snapshot = make_snapshot({{.name = "a", .waiting = 2, .running = 4, .kv_usage = 0.1F}});
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 6}}).saturation, 0.4F) << "2 of 5";
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 8}}).saturation, 0.8F) << "two more were sent";
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 8}}, kNow, 1).saturation, 1.0F) << "and one is under way";
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 5}}, kNow + milliseconds{40}).saturation, 0.2F) << "one has ended";
  snapshot.endpoints[0].waiting_requests = {4, kNow + milliseconds{50}};
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 5}}, kNow + milliseconds{60}).saturation, 0.8F)
      << "a new reading has it all";
}

TEST(SaturationGate, AReadingThatComesLateDoesNotKnowWhatWasSentSince) {
  SaturationGate gate = make_gate();
  EndpointSnapshot snapshot = make_snapshot({{.name = "a", .waiting = 0}});
  (void)read(gate, snapshot, {{.requests = 0}});
  (void)read(gate, snapshot, {{.requests = 1}}, kNow + milliseconds{10});
  (void)read(gate, snapshot, {{.requests = 3}}, kNow + milliseconds{14});
  snapshot.endpoints[0].waiting_requests = {1, kNow + milliseconds{12}};
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 3}}, kNow + milliseconds{16}).saturation, 0.6F)
      << "one waited at 12 ms, and two were sent after it";
}

TEST(SaturationGate, LetsAnEndpointRunWhatItWasSeenToRun) {
  SaturationGate gate = make_gate();
  EndpointSnapshot snapshot = make_snapshot({{.name = "a", .waiting = 0, .running = 8, .kv_usage = 0.1F}});
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 8}}).saturation, 0.125F) << "KV: 0.1 of 0.8";
  snapshot.endpoints[0].running_requests = {0, kNow + milliseconds{50}};
  snapshot.endpoints[0].waiting_requests = {0, kNow + milliseconds{50}};
  (void)read(gate, snapshot, {{.requests = 0}}, kNow + milliseconds{50});
  const TimePoint later = kNow + milliseconds{60};
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 8}}, later).saturation, 0.125F) << "none of eight waits";
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 10}}, later).saturation, 0.4F) << "two of ten do";
}

TEST(SaturationGate, OldMetricsDoNotCloseIt) {
  SaturationGate gate = make_gate();
  const auto snapshot =
      make_snapshot({{.name = "a", .waiting = 1, .kv_usage = 0.0F, .metric_age = seconds{30}}, {.name = "never-told"}});
  const GateReading quiet = read(gate, snapshot, {{.requests = 0}, {.requests = 0}});
  EXPECT_FLOAT_EQ(quiet.saturation, 0.0F);
  EXPECT_EQ(quiet.stale, 2U);
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 5}, {.requests = 5}}).saturation, 1.0F)
      << "what was sent there still does";
}

TEST(SaturationGate, WhatWasReadLastDoesNotCountForEver) {
  SaturationGate gate = make_gate();
  const EndpointSnapshot snapshot = make_snapshot({{.name = "a", .waiting = 9, .running = 8, .kv_usage = 0.95F}});
  EXPECT_GE(read(gate, snapshot, {{.requests = 17}}).saturation, 1.0F);
  const TimePoint later = kNow + seconds{30};
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 0}}, later).saturation, 0.0F) << "its scrapes fail since";
  EXPECT_FLOAT_EQ(read(gate, snapshot, {{.requests = 10}}, later).saturation, 0.4F) << "it was seen to run eight";
}

TEST(SaturationGate, LetsOneGoToEachEndpointOnTrialIfThereAreNoOthers) {
  SaturationGate gate = make_gate();
  const EndpointSpec trial{.name = "a", .health = EndpointHealth::kProbing, .waiting = 0};
  const auto alone = make_snapshot({trial});
  const GateReading open = read(gate, alone, {{.requests = 0}});
  EXPECT_FALSE(open.pool_empty);
  EXPECT_LT(open.saturation, 1.0F);
  EXPECT_GE(open.saturation + open.per_request, 1.0F) << "one";
  EXPECT_GE(read(gate, alone, {{.requests = 0}}, kNow, 1).saturation, 1.0F) << "it is under way";
  EXPECT_GE(read(gate, alone, {{.requests = 1}}).saturation, 1.0F) << "it is there";
  const auto two = make_snapshot({trial, {.name = "b", .health = EndpointHealth::kProbing}});
  EXPECT_LT(read(gate, two, {{.requests = 1}, {.requests = 0}}).saturation, 1.0F);
  EXPECT_GE(read(gate, two, {{.requests = 1}, {.requests = 0}}, kNow, 1).saturation, 1.0F);
  const auto beside = make_snapshot({trial, {.name = "b", .waiting = 5}});
  EXPECT_GE(read(gate, beside, {{.requests = 0}, {.requests = 5}}).saturation, 1.0F)
      << "it is no room for those that the full one cannot take";
  const auto prefills = make_snapshot({{.name = "p", .role = "prefill", .health = EndpointHealth::kProbing},
                                       {.name = "d", .role = "decode", .waiting = 0}});
  EXPECT_FLOAT_EQ(read(gate, prefills, {{.requests = 1}, {.requests = 0}}).saturation, 0.0F)
      << "meanwhile the other computes prompts";
}

TEST(SaturationGate, TellsWhatOneMoreRequestAdds) {
  const auto snapshot = make_snapshot({{.name = "a", .waiting = 0}, {.name = "b", .waiting = 0}});
  SaturationGate utilization = make_gate();
  EXPECT_FLOAT_EQ(read(utilization, snapshot, {{}, {}}).per_request, 0.1F);
  SaturationGate concurrency = make_gate("concurrency-detector");
  const GateReading reading = read(concurrency, snapshot, {{.requests = 50}, {.requests = 0}});
  EXPECT_FLOAT_EQ(reading.saturation, 0.25F);
  EXPECT_FLOAT_EQ(reading.per_request, 1.0F / 200);
}

TEST(SaturationGate, TheFullerStageCountsAndEncodersDoNot) {
  SaturationGate gate = make_gate();
  const auto snapshot = make_snapshot({{.name = "p", .role = "prefill", .waiting = 4},
                                       {.name = "d", .role = "decode", .waiting = 1},
                                       {.name = "e", .role = "encode", .waiting = 100},
                                       {.name = "down", .health = EndpointHealth::kDown, .waiting = 100}});
  const GateReading reading = read(gate, snapshot, {{}, {}, {}, {}});
  EXPECT_FLOAT_EQ(reading.prefill, 0.8F);
  EXPECT_FLOAT_EQ(reading.decode, 0.2F);
  EXPECT_FLOAT_EQ(reading.saturation, 0.8F);
}

TEST(SaturationGate, APoolWithoutEndpointsIsFullAndSaysSo) {
  SaturationGate gate = make_gate();
  const GateReading reading = read(gate, make_snapshot({{.name = "a", .health = EndpointHealth::kDown}}), {{}});
  EXPECT_TRUE(reading.pool_empty);
  EXPECT_EQ(reading.saturation, 1.0F);
}

TEST(SaturationGate, AnEndpointKeepsItsPastWhenThePoolChanges) {
  SaturationGate gate = make_gate();
  const auto one = make_snapshot({{.name = "a", .waiting = 1}});
  (void)read(gate, one, {{.requests = 3}});
  const auto two = make_snapshot({{.name = "b", .waiting = 0}, {.name = "a", .waiting = 1}});
  EXPECT_FLOAT_EQ(read(gate, two, {{.requests = 0}, {.requests = 5}}).saturation, 0.3F) << "1 + 2 of 10";
}

TEST(SaturationGate, ANewConfigurationKnowsWhatTheOldOneSaw) {
  SaturationGate before = make_gate();
  const auto snapshot = make_snapshot({{.name = "a", .waiting = 0, .running = 8, .kv_usage = 0.0F}});
  (void)read(before, snapshot, {{.requests = 8}});
  SaturationGate gate = make_gate();
  gate.remember(std::move(before));
  auto later = snapshot;
  later.endpoints[0].running_requests = {0, kNow + milliseconds{50}};
  later.endpoints[0].waiting_requests = {0, kNow + milliseconds{50}};
  (void)read(gate, later, {{.requests = 0}}, kNow + milliseconds{50});
  EXPECT_FLOAT_EQ(read(gate, later, {{.requests = 8}}, kNow + milliseconds{60}).saturation, 0.0F);
}

TEST(SaturationGate, RefusesADetectorThatIsNone) {
  FlowConfig flow;
  flow.saturation_detector = "queue-scorer";
  const auto gate = SaturationGate::make(flow, {});
  ASSERT_FALSE(gate.has_value());
  EXPECT_EQ(gate.error().what, "flowControl names \"queue-scorer\" as its saturation detector, which it is not");
}

}  // namespace
}  // namespace llmd::flow
