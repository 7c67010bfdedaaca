#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/rng.h"
#include "flow/fairness/global_strict_fairness.h"
#include "flow/fairness/program_aware_fairness.h"
#include "flow/fairness/round_robin_fairness.h"
#include "flow/fairness/virtual_token_counter_fairness.h"

namespace llmd::flow {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

Head head(std::int64_t order, milliseconds waits = {}) {
  return {.key = {order, static_cast<std::uint64_t>(order)}, .enqueued = kNow - waits};
}

/// Lets `count` requests of this size through, all flows staying active, and says of which flows.
std::vector<FlowId> let_through(FairnessIndex& index, int count, std::uint32_t tokens = 1) {
  std::vector<FlowId> flows;
  for (int i = 0; i < count; ++i) {
    flows.push_back(index.pick(kNow));
    index.dispatched(flows.back(), {.prompt_tokens = tokens}, kNow);
  }
  return flows;
}

TEST(GlobalStrictFairness, TakesTheBestHeadWhosesoeverItIs) {
  const auto index = GlobalStrictFairness{}.make_index();
  index->activate(0, head(5), kNow);
  index->activate(1, head(3), kNow);
  EXPECT_EQ(index->pick(kNow), 1U);
  index->head_changed(1, head(9));
  EXPECT_EQ(index->pick(kNow), 0U);
  index->deactivate(0);
  EXPECT_EQ(index->pick(kNow), 1U);
}

TEST(RoundRobinFairness, TakesEachInTurnAndANewcomerLast) {
  const auto index = RoundRobinFairness{}.make_index();
  for (FlowId flow = 0; flow < 3; ++flow) index->activate(flow, head(flow), kNow);
  EXPECT_EQ(let_through(*index, 4), (std::vector<FlowId>{0, 1, 2, 0}));
  index->activate(7, head(7), kNow);
  EXPECT_EQ(let_through(*index, 4), (std::vector<FlowId>{1, 2, 0, 7}));
  index->deactivate(1);
  index->deactivate(2);
  EXPECT_EQ(let_through(*index, 3), (std::vector<FlowId>{0, 7, 0}));
}

TEST(VirtualTokenCounterFairness, GivesTokensNotRequests) {
  const auto index = VirtualTokenCounterFairness{{}}.make_index();
  index->activate(0, head(0), kNow);
  index->activate(1, head(1), kNow);
  std::map<FlowId, std::uint32_t> tokens;
  for (int i = 0; i < 1'000; ++i) {
    const FlowId flow = index->pick(kNow);
    const std::uint32_t prompt = flow == 0 ? 1'000 : 100;
    index->dispatched(flow, {.prompt_tokens = prompt}, kNow);
    tokens[flow] += prompt;
  }
  EXPECT_NEAR(tokens[0], tokens[1], 1'000) << "one request's worth";
}

TEST(VirtualTokenCounterFairness, OwesNothingForIdleTimeAndGivesTheShareBackAtOnce) {
  const auto index = VirtualTokenCounterFairness{{}}.make_index();
  index->activate(0, head(0), kNow);
  let_through(*index, 1'000, 100);  // alone: all of it
  index->activate(1, head(1), kNow);
  const std::vector<FlowId> after = let_through(*index, 10, 100);
  EXPECT_EQ(std::ranges::count(after, 1U), 5) << "half from now on, neither more nor less";
}

TEST(VirtualTokenCounterFairness, CorrectsTheChargeWhenARequestHasEnded) {
  const auto index = VirtualTokenCounterFairness{{.input_weight = 1, .output_weight = 2}}.make_index();
  index->activate(0, head(0), kNow);
  index->activate(1, head(1), kNow);
  const Charge charge{.prompt_tokens = 10, .output_tokens_expected = 5};
  index->dispatched(0, charge, kNow);
  EXPECT_EQ(index->service(0, kNow), 20);
  index->finished(0, charge, 50, kNow);
  EXPECT_EQ(index->service(0, kNow), 110);
  EXPECT_EQ(index->pick(kNow), 1U);
  index->finished(0, charge, 0, kNow);
  EXPECT_EQ(index->service(0, kNow), 100) << "a request that gave nothing is paid back";
}

TEST(ProgramAwareFairness, WeighsServiceAgainstWaiting) {
  const auto index = ProgramAwareFairness{{}}.make_index();
  index->activate(0, head(0, milliseconds{100}), kNow);
  index->activate(1, head(1, milliseconds{10}), kNow);
  EXPECT_EQ(index->pick(kNow), 0U) << "equal service: the longer wait";
  index->dispatched(0, {.prompt_tokens = 10}, kNow);
  EXPECT_EQ(index->pick(kNow), 1U) << "0.8 for service against 0.2 for the wait";
  const auto patient = ProgramAwareFairness{{.service_weight = 0.2, .wait_weight = 0.8}}.make_index();
  patient->activate(0, head(0, milliseconds{100}), kNow);
  patient->activate(1, head(1, milliseconds{10}), kNow);
  patient->dispatched(0, {.prompt_tokens = 10}, kNow);
  EXPECT_EQ(patient->pick(kNow), 0U);
}

TEST(ProgramAwareFairness, ForgetsByHalfLives) {
  const auto index = ProgramAwareFairness{{.half_life = seconds{60}}}.make_index();
  index->dispatched(0, {.prompt_tokens = 1'000}, kNow);
  EXPECT_NEAR(index->service(0, kNow + seconds{120}), 250, 1e-6);
  index->finished(0, {}, 100, kNow + seconds{120});
  EXPECT_NEAR(index->service(0, kNow + seconds{120}), 450, 1e-6) << "a token of output counts twice";
  const TimePoint days_later = kNow + std::chrono::hours{72};
  index->dispatched(0, {.prompt_tokens = 7}, days_later);
  EXPECT_NEAR(index->service(0, days_later), 7, 1e-6) << "no overflow after thousands of half-lives";
}

TEST(ProgramAwareFairness, FindsTheBestThatAScanOverAllFinds) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng{seed};
    const ProgramAwareFairness::Options options{.service_weight = rng.uniform(), .wait_weight = rng.uniform()};
    const auto index = ProgramAwareFairness{options}.make_index();
    struct Flow {
      double service;
      double wait;
    };
    std::vector<Flow> flows;
    for (FlowId flow = 0; flow < 60; ++flow) {
      const auto tokens = static_cast<std::uint32_t>(rng.below(1'000));
      const auto wait_ms = static_cast<std::int64_t>(rng.below(1'000));
      index->dispatched(flow, {.prompt_tokens = tokens}, kNow);
      index->activate(flow, head(flow, milliseconds{wait_ms}), kNow);
      flows.push_back({static_cast<double>(tokens), static_cast<double>(wait_ms)});
    }
    const auto service = std::ranges::minmax(flows, {}, &Flow::service);
    const auto wait = std::ranges::minmax(flows, {}, &Flow::wait);
    const auto score = [&](const Flow& flow) {
      const double served = (flow.service - service.min.service) / (service.max.service - service.min.service);
      const double waited = (flow.wait - wait.min.wait) / (wait.max.wait - wait.min.wait);
      return options.service_weight * (1 - served) + options.wait_weight * waited;
    };
    EXPECT_NEAR(score(flows[index->pick(kNow)]), score(*std::ranges::max_element(flows, {}, score)), 1e-9)
        << "seed " << seed;
  }
}

}  // namespace
}  // namespace llmd::flow
