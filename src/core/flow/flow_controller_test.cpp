#include "flow/flow_controller.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "flow/testing/made_rules.h"

namespace llmd::flow {
namespace {

using testing::gate_of;
using testing::made_rules;
using testing::one_band;

constexpr TimePoint kNow{std::chrono::hours{1}};
using Ids = std::vector<std::uint64_t>;

FlowItem item(std::uint64_t id, std::int32_t priority = 0, std::string_view flow = {}) {
  return {.id = id, .fairness_id = flow, .priority = priority, .bytes = 10, .prompt_tokens = 10, .received = kNow};
}

Ids ids(const std::vector<Departure>& departures) {
  Ids found;
  for (const Departure& departure : departures) found.push_back(departure.id);
  return found;
}

std::vector<Departure> step(FlowController& flow, const GateReading& gate, TimePoint now = kNow) {
  std::vector<Departure> out;
  (void)flow.step(gate, now, out);
  EXPECT_TRUE(flow.check_integrity());
  return out;
}

TEST(FlowController, DispatchesManyInOneStepAndStopsWhereTheGateCloses) {
  FlowController flow{made_rules()};
  for (std::uint64_t id = 0; id < 10; ++id) ASSERT_TRUE(flow.enqueue(item(id), kNow));
  EXPECT_EQ(ids(step(flow, gate_of(4))), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids(step(flow, gate_of(0))), Ids{});
  ASSERT_TRUE(flow.blocked());
  EXPECT_EQ(flow.blocked()->priority, 0);
  EXPECT_EQ(ids(step(flow, gate_of(100))).size(), 6U);
  EXPECT_FALSE(flow.blocked());
}

TEST(FlowController, ServesHigherBandsFirst) {
  FlowController flow{made_rules()};
  for (const std::int32_t priority : {-5, 0, 7, 3}) {
    ASSERT_TRUE(flow.enqueue(item(static_cast<std::uint64_t>(priority + 100), priority), kNow));
  }
  EXPECT_EQ(ids(step(flow, gate_of(4))), (Ids{107, 103, 100, 95}));
}

TEST(FlowController, ALowerBandIsNotPassedOverForEver) {
  FlowConfig config;
  config.lower_band_patience = seconds{5};
  FlowController flow{made_rules(config)};
  ASSERT_TRUE(flow.enqueue(item(1, -1), kNow));
  ASSERT_TRUE(flow.enqueue(item(2, -1), kNow));
  for (std::uint64_t id = 10; id < 30; ++id) ASSERT_TRUE(flow.enqueue(item(id, 0), kNow));
  EXPECT_EQ(ids(step(flow, gate_of(2), kNow + milliseconds{4'999})), (Ids{10, 11})) << "strict until then";
  EXPECT_EQ(ids(step(flow, gate_of(3), kNow + seconds{5})), (Ids{1, 12, 13})) << "one, and then again the higher";
  EXPECT_EQ(ids(step(flow, gate_of(2), kNow + milliseconds{9'999})), (Ids{14, 15}));
  EXPECT_EQ(ids(step(flow, gate_of(1), kNow + seconds{10})), Ids{2});

  config.lower_band_patience = {};
  FlowController strict{made_rules(config)};
  ASSERT_TRUE(strict.enqueue(item(1, -1), kNow));
  for (std::uint64_t id = 10; id < 12; ++id) ASSERT_TRUE(strict.enqueue(item(id, 0), kNow));
  EXPECT_EQ(ids(step(strict, gate_of(2), kNow + seconds{30})), (Ids{10, 11})) << "llm-d's";
}

TEST(FlowController, RefusesBeyondEachLimitAndNamesIt) {
  FlowConfig config;
  config.bytes_max = 100;
  config.requests_max = 5;
  config.bands = {{.priority = 1, .bytes_max = 40, .requests_max = 3}, {.priority = 2, .requests_max = 2}};
  FlowController flow{made_rules(config)};
  const auto refusal = [&](std::uint64_t bytes, std::int32_t priority) {
    FlowItem wanted = item(9, priority);
    wanted.bytes = bytes;
    const auto ticket = flow.enqueue(wanted, kNow);
    return ticket ? std::string{} : std::string{ticket.error().limit};
  };
  EXPECT_EQ(refusal(101, 1), "maxBytes");
  EXPECT_EQ(refusal(41, 1), "the band's maxBytes");
  EXPECT_EQ(refusal(10, 2), "");
  EXPECT_EQ(refusal(10, 2), "");
  EXPECT_EQ(refusal(10, 2), "the band's maxRequests");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(refusal(10, 1), "");
  EXPECT_EQ(refusal(1, 0), "maxRequests");
  EXPECT_EQ(flow.waiting(), 5U);
  EXPECT_EQ(flow.bytes(), 50U);
  EXPECT_EQ(step(flow, gate_of(5)).size(), 5U);
  EXPECT_EQ(flow.bytes(), 0U);
}

TEST(FlowController, SaysWhenToTryAgainFromTheRateThatItDrainsAt) {
  FlowConfig config;
  config.bands = {{.priority = 0, .requests_max = 50}};
  FlowController flow{made_rules(config)};
  std::uint64_t id = 0;
  while (flow.enqueue(item(id), kNow)) ++id;
  EXPECT_EQ(flow.enqueue(item(id), kNow).error().retry_after_s, 60U) << "nothing has left yet";
  TimePoint now = kNow;
  for (int i = 0; i < 100; ++i) {
    now += milliseconds{100};
    EXPECT_EQ(step(flow, gate_of(1), now).size(), 1U);
    ASSERT_TRUE(flow.enqueue(item(++id), now));
  }
  const auto refused = flow.enqueue(item(++id), now);
  ASSERT_FALSE(refused);
  EXPECT_NEAR(refused.error().retry_after_s, 5, 1) << "51 at 10 a second";
}

TEST(FlowController, LetsGoWhatHasWaitedTooLong) {
  FlowConfig config;
  config.ttl = seconds{10};
  FlowController flow{made_rules(config)};
  EXPECT_EQ(flow.next_deadline(), std::nullopt);
  ASSERT_TRUE(flow.enqueue(item(1), kNow));
  ASSERT_TRUE(flow.enqueue(item(2), kNow + seconds{3}));
  EXPECT_EQ(flow.next_deadline(), kNow + seconds{10});
  EXPECT_EQ(ids(step(flow, gate_of(0), kNow + milliseconds{9'999})), Ids{});
  const auto gone = step(flow, gate_of(1), kNow + seconds{10});
  ASSERT_EQ(ids(gone), (Ids{1, 2})) << "the one that is too old is not dispatched";
  EXPECT_EQ(gone[0].outcome, Outcome::kEvictedTtl);
  EXPECT_EQ(gone[1].outcome, Outcome::kDispatched);
  EXPECT_EQ(gone[1].waited, seconds{7});
}

TEST(FlowController, WaitsLongerForAFirstEndpointThanForRoom) {
  FlowConfig config;
  config.ttl = seconds{10};
  config.ttl_no_endpoint = seconds{60};
  FlowController flow{made_rules(config)};
  const GateReading empty{.saturation = 1, .pool_empty = true};
  (void)step(flow, empty, kNow);
  ASSERT_TRUE(flow.enqueue(item(1), kNow));
  ASSERT_TRUE(flow.enqueue(item(2), kNow + seconds{30}));
  EXPECT_EQ(ids(step(flow, empty, kNow + seconds{59})), Ids{});
  const auto gone = step(flow, empty, kNow + seconds{60});
  ASSERT_EQ(ids(gone), Ids{1});
  EXPECT_EQ(gone[0].outcome, Outcome::kEvictedNoEndpoints);
  (void)step(flow, gate_of(0), kNow + seconds{82});
  EXPECT_EQ(flow.next_deadline(), kNow + seconds{90}) << "10 s from the change, but 60 s in all";
  (void)step(flow, gate_of(0), kNow + seconds{85});
  ASSERT_TRUE(flow.enqueue(item(3), kNow + seconds{85}));
  const auto rest = step(flow, gate_of(0), kNow + seconds{95});
  EXPECT_EQ(ids(rest), (Ids{2, 3}));
  EXPECT_EQ(rest[0].outcome, Outcome::kEvictedTtl);
}

TEST(FlowController, FullWithoutEndpointsIsAnotherAnswer) {
  FlowConfig config;
  config.requests_max = 1;
  FlowController flow{made_rules(config)};
  (void)step(flow, {.saturation = 1, .pool_empty = true});
  ASSERT_TRUE(flow.enqueue(item(1), kNow));
  const auto refused = flow.enqueue(item(2), kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().outcome, Outcome::kRejectedNoEndpoints);
  EXPECT_EQ(outcome_status(refused.error().outcome), 503);
}

TEST(FlowController, ACancelledRequestLeavesOnceAndForAll) {
  FlowController flow{made_rules(one_band("round-robin-fairness-policy"))};
  const auto first = flow.enqueue(item(1, 0, "a"), kNow);
  const auto second = flow.enqueue(item(2, 0, "a"), kNow);
  ASSERT_TRUE(first && second);
  const auto gone = flow.cancel(*first, kNow);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->outcome, Outcome::kEvictedCancelled);
  EXPECT_FALSE(flow.cancel(*first, kNow));
  const auto third = flow.enqueue(item(3, 0, "a"), kNow);  // takes the free number
  ASSERT_TRUE(third);
  EXPECT_FALSE(flow.cancel(*first, kNow)) << "an old ticket is nobody's";
  EXPECT_EQ(ids(step(flow, gate_of(9))), (Ids{2, 3}));
  EXPECT_FALSE(flow.cancel(*second, kNow));
}

TEST(FlowController, OrdersWithinAFlowAsItsPolicySays) {
  FlowController flow{made_rules(one_band("round-robin-fairness-policy", "shortest-uncached-prefill-ordering-policy"))};
  for (std::uint64_t id = 1; id <= 3; ++id) {
    FlowItem wanted = item(id, 0, "a");
    wanted.uncached_tokens = static_cast<std::uint32_t>(1'000 / id);
    ASSERT_TRUE(flow.enqueue(wanted, kNow));
  }
  EXPECT_EQ(ids(step(flow, gate_of(3))), (Ids{3, 2, 1}));
}

TEST(FlowController, AQuietTenantIsServedAtOnceBesideAFlood) {
  FlowController flow{made_rules(one_band("virtual-token-counter-fairness-policy"))};
  for (std::uint64_t id = 0; id < 1'000; ++id) ASSERT_TRUE(flow.enqueue(item(id, 0, "flood"), kNow));
  EXPECT_EQ(step(flow, gate_of(100)).size(), 100U) << "alone it gets all";
  ASSERT_TRUE(flow.enqueue(item(5'000, 0, "quiet"), kNow));
  const Ids next = ids(step(flow, gate_of(2)));
  EXPECT_TRUE(next[0] == 5'000 || next[1] == 5'000);
}

TEST(FlowController, NewRulesKeepAllThatWaitsAndItsOrder) {
  FlowController flow{made_rules(one_band("round-robin-fairness-policy"))};
  std::vector<Ticket> tickets;
  for (std::uint64_t id = 0; id < 6; ++id) {
    const auto ticket = flow.enqueue(item(id, 0, id % 2 == 0 ? "a" : "b"), kNow + milliseconds{id});
    ASSERT_TRUE(ticket);
    tickets.push_back(*ticket);
  }
  FlowConfig other = one_band("global-strict-fairness-policy");
  other.bands[0].requests_max = 2;  // below what waits
  other.bands.push_back({.priority = 9});
  flow.reconfigure(made_rules(other), kNow + milliseconds{10});
  EXPECT_TRUE(flow.check_integrity());
  EXPECT_EQ(flow.waiting(), 6U);
  EXPECT_FALSE(flow.enqueue(item(7), kNow + milliseconds{10}));
  EXPECT_TRUE(flow.cancel(tickets[3], kNow + milliseconds{10})) << "tickets stay good";
  EXPECT_EQ(ids(step(flow, gate_of(9), kNow + milliseconds{10})), (Ids{0, 1, 2, 4, 5}));
}

TEST(FlowController, ABandWhosePoliciesStayKeepsItsAccounts) {
  const FlowConfig config = one_band("virtual-token-counter-fairness-policy");
  FlowController flow{made_rules(config)};
  ASSERT_TRUE(flow.enqueue(item(1, 0, "a"), kNow));
  (void)step(flow, gate_of(1));
  const double service = flow.bands()[0]->service_of("a", kNow);
  EXPECT_GT(service, 0);
  FlowConfig other = config;
  other.bands[0].requests_max = 7;
  flow.reconfigure(made_rules(other), kNow);
  EXPECT_EQ(flow.bands()[0]->service_of("a", kNow), service);
  EXPECT_EQ(flow.bands()[0]->rules().requests_max, 7U);
  flow.reconfigure(made_rules(one_band("global-strict-fairness-policy")), kNow);
  EXPECT_EQ(flow.bands()[0]->service_of("a", kNow), 0);
}

TEST(FlowController, ChargesWhatItExpectsAndCorrectsItAtTheEnd) {
  FlowController flow{made_rules(one_band("virtual-token-counter-fairness-policy"))};
  ASSERT_TRUE(flow.enqueue(item(1, 0, "a"), kNow));
  const auto out = step(flow, gate_of(1));
  ASSERT_EQ(out.size(), 1U);
  const Charge charge{.prompt_tokens = 10, .output_tokens_expected = out[0].output_tokens_expected};
  flow.finish({.band = 0, .fairness_id = "a", .charge = charge, .output_tokens = 30}, kNow);
  EXPECT_EQ(flow.bands()[0]->service_of("a", kNow), 10 + 2 * 30);
}

TEST(FlowController, PrioritiesWithoutABandOfTheirOwnAreBounded) {
  FlowController flow{made_rules()};
  for (std::int32_t priority = 0; priority < 500; ++priority)
    ASSERT_TRUE(flow.enqueue(item(static_cast<std::uint64_t>(priority), priority), kNow));
  EXPECT_EQ(flow.bands().size(), FlowController::kOtherBandsMax);
  EXPECT_TRUE(flow.check_integrity());
  EXPECT_EQ(step(flow, gate_of(500)).size(), 500U);
  ASSERT_TRUE(flow.enqueue(item(1, 1'000), kNow + std::chrono::minutes{11}));
  EXPECT_EQ(flow.bands().size(), 1U) << "those that nobody uses are forgotten";
}

FlowConfig holding_back() {
  FlowConfig config;
  config.policies.push_back({.name = "holdback", .type = "priority-holdback-policy"});
  config.policies[0].parameters.set("minCeiling", 0.5);
  config.usage_limit = "holdback";
  return config;
}

TEST(FlowController, InventedPrioritiesDoNotChangeTheCeilingsOfListedBands) {
  FlowConfig config = holding_back();
  config.bands = {{.priority = 10}, {.priority = 5}, {.priority = 0}};
  FlowController flow{made_rules(config)};
  for (std::int32_t priority = -30; priority < 30; ++priority)
    ASSERT_TRUE(flow.enqueue(item(static_cast<std::uint64_t>(priority + 30), priority), kNow));
  const GateReading gate{.saturation = 0.7F};
  const Ids gone = ids(step(flow, gate));
  EXPECT_EQ(gone.size(), 25U) << "those from 5 on, as if 10, 5 and 0 were alone";
  EXPECT_EQ(gone.back(), 35U);
  ASSERT_TRUE(flow.blocked());
  EXPECT_EQ(flow.blocked()->priority, 4);
  EXPECT_FLOAT_EQ(flow.blocked()->ceiling, 0.5F) << "of the listed band below";
}

TEST(FlowController, WithoutListedBandsNoneHoldsBack) {
  FlowController flow{made_rules(holding_back())};
  ASSERT_TRUE(flow.enqueue(item(1, 7), kNow));
  ASSERT_TRUE(flow.enqueue(item(2, -7), kNow));
  EXPECT_EQ(ids(step(flow, {.saturation = 0.9F})), (Ids{1, 2}));
}

TEST(FlowController, NothingGoesToAnEmptyPoolWhateverTheCeiling) {
  FlowConfig config;
  config.policies.push_back({.name = "high", .type = "static-usage-limit-policy"});
  config.policies[0].parameters.set("threshold", 2.0);
  config.usage_limit = "high";
  FlowController flow{made_rules(config)};
  ASSERT_TRUE(flow.enqueue(item(1), kNow));
  EXPECT_TRUE(step(flow, {.saturation = 1, .pool_empty = true}).empty());
  EXPECT_FALSE(flow.blocked()) << "there is nobody to cut";
  EXPECT_EQ(ids(step(flow, {.saturation = 1})), Ids{1});
}

TEST(FlowController, FlowsThatComeOnceAreForgotten) {
  FlowController flow{made_rules(one_band("virtual-token-counter-fairness-policy"))};
  TimePoint now = kNow;
  for (std::uint64_t id = 0; id < Band::kIdleFlowsMax + 1'000; ++id) {
    const std::string name = "visitor-" + std::to_string(id);
    ASSERT_TRUE(flow.enqueue(item(id, 0, name), now));
    std::vector<Departure> out;
    ASSERT_EQ(flow.step(gate_of(1), now, out), 1U);
  }
  EXPECT_LE(flow.bands()[0]->flows(), Band::kIdleFlowsMax + 1);
  now += std::chrono::minutes{6};
  for (std::uint64_t id = 0; id < Band::kIdleFlowsMax; ++id) {
    ASSERT_TRUE(flow.enqueue(item(id, 0, "the-same"), now));
    std::vector<Departure> out;
    ASSERT_EQ(flow.step(gate_of(1), now, out), 1U);
  }
  EXPECT_EQ(flow.bands()[0]->flows(), 1U);
  EXPECT_TRUE(flow.check_integrity());
}

TEST(FlowController, AtTheEndAllAreToldToGo) {
  FlowController flow{made_rules()};
  for (std::uint64_t id = 0; id < 3; ++id) ASSERT_TRUE(flow.enqueue(item(id), kNow));
  std::vector<Departure> out;
  flow.drain(kNow, out);
  EXPECT_EQ(ids(out), (Ids{0, 1, 2}));
  EXPECT_EQ(dropped_reason(out[0].outcome), "rejected-shutting-down");
  EXPECT_EQ(flow.waiting(), 0U);
}

TEST(MakeRules, RefusesWhatIsNoPolicyOfTheKind) {
  const auto error = [](const FlowConfig& config) {
    const auto rules = make_rules(config);
    return rules ? std::string{} : rules.error().what;
  };
  EXPECT_EQ(error(one_band("fcfs-ordering-policy")),
            "flowControl names \"fcfs-ordering-policy\", which is not a fairness policy");
  FlowConfig wrong = one_band("vtc");
  wrong.policies = {{.name = "vtc", .type = "virtual-token-counter-fairness-policy"}};
  wrong.policies[0].parameters.set("inputTokenWeight", -1.0);
  EXPECT_NE(error(wrong).find("inputTokenWeight is -1"), std::string::npos) << error(wrong);
  FlowConfig crossed = holding_back();
  crossed.policies[0].parameters.set("maxCeiling", 0.25);
  EXPECT_EQ(error(crossed), "priority-holdback-policy: minCeiling 0.5 is above maxCeiling 0.25");
}

}  // namespace
}  // namespace llmd::flow
