#include "simulation/fleet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "model/link_table.h"
#include "simulation/engine.h"
#include "simulation/summary.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kBlock = 64;

/// Requests that a test lists.
class ListWorkload final : public Workload {
 public:
  explicit ListWorkload(std::vector<SimRequest> requests) : requests_{std::move(requests)} {}
  std::optional<SimRequest> next() override {
    return at_ < requests_.size() ? std::optional{requests_[at_++]} : std::nullopt;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return kBlock; }

 private:
  std::vector<SimRequest> requests_;
  std::size_t at_ = 0;
};

/// The first endpoint that is up, from `first` on.
class FirstUp : public Policy {
 public:
  explicit FirstUp(std::uint32_t first = 0) : first_{first} {}
  PolicyChoice choose(const PolicyInput& input) override {
    for (std::uint32_t i = first_; i < input.snapshot.endpoints.size(); ++i) {
      if (input.snapshot.endpoints[i].health == EndpointHealth::kReady) return {.decode = i};
    }
    return {};
  }

 private:
  std::uint32_t first_;
};

class Apart final : public Policy {
 public:
  PolicyChoice choose(const PolicyInput& /*input*/) override { return {.decode = 1, .prefill = 0}; }
};

std::unique_ptr<FlowControl> flow_control(const flow::FlowConfig& config = {}) {
  auto made = FlowControl::make(config, {});
  EXPECT_TRUE(made.has_value());
  return *std::move(made);
}

std::vector<std::uint64_t> chain(std::uint64_t name, std::uint32_t tokens) {
  std::vector<std::uint64_t> blocks;
  for (std::uint32_t i = 0; i < tokens / kBlock; ++i)
    blocks.push_back(chain_block(blocks.empty() ? 0 : blocks.back(), name));
  return blocks;
}

SimRequest request(std::uint64_t id, milliseconds at, std::uint64_t name, std::uint32_t prompt = 640,
                   std::uint32_t output = 10) {
  return {.id = id,
          .arrival = at,
          .prompt_tokens = prompt,
          .output_tokens = output,
          .blocks = chain(name, prompt + output)};
}

TEST(SimEngine, TakesTheTimeThatTheProfileSays) {
  HardwareProfile profile;
  profile.step_s = 0.01;
  profile.prefill_token_s = 1e-5;
  profile.prefill_token_per_kilotoken_s = 0;
  profile.decode_sequence_s = 1e-3;
  profile.decode_sequence_per_kilotoken_s = 0;
  SimEngine engine{profile, kBlock, false};
  const SimRequest one = request(1, {}, 7, 640, 3);
  ASSERT_TRUE(engine.submit(one, 3));
  EXPECT_NEAR(to_seconds(engine.begin_step()), 0.01 + 640e-5, 1e-9);
  EXPECT_TRUE(engine.end_step().front().first_token);
  EXPECT_NEAR(to_seconds(engine.begin_step()), 0.011, 1e-9);
  EXPECT_TRUE(engine.end_step().empty());
  (void)engine.begin_step();
  EXPECT_TRUE(engine.end_step().front().finished);
  EXPECT_FALSE(engine.busy());
}

TEST(SimEngine, TellsEachTokenIfAskedAndForgetsWhatIsCancelled) {
  const HardwareProfile profile;
  SimEngine engine{profile, kBlock, false};
  engine.tell_tokens();
  const SimRequest one = request(1, {}, 7, 640, 3);
  const SimRequest other = request(2, {}, 8, 640, 3);
  ASSERT_TRUE(engine.submit(one, 3));
  ASSERT_TRUE(engine.submit(other, 3));
  (void)engine.begin_step();
  std::size_t admitted = 0;
  std::size_t tokens = 0;
  const auto count = [&] {
    for (const EngineEvent& event : engine.end_step()) {
      admitted += event.admitted ? 1 : 0;
      tokens += event.token ? 1 : 0;
    }
  };
  count();
  EXPECT_EQ(admitted, 2U);
  EXPECT_EQ(tokens, 2U);
  engine.cancel(1);
  engine.cancel(1);
  EXPECT_EQ(engine.load().running, 1U);
  while (engine.busy()) {
    (void)engine.begin_step();
    count();
  }
  EXPECT_EQ(tokens, 4U);
  const EngineTotals totals = engine.totals();
  EXPECT_EQ(totals.prompt_tokens, 1'280U);
  EXPECT_EQ(totals.generation_tokens, 4U);
  EXPECT_EQ(totals.steps, 3U);
  EXPECT_EQ(totals.store_blocks, 20U);
  EXPECT_EQ(totals.waiting_tokens, 0U);
}

TEST(SimEngine, PaysAStepForEachBatchAsTheLlamaEngineDoes) {
  for (const bool llama : {false, true}) {
    HardwareProfile profile;
    profile.step_s = 0.01;
    profile.prefill_token_s = profile.prefill_token_per_kilotoken_s = 0;
    profile.decode_sequence_s = profile.decode_sequence_per_kilotoken_s = 0;
    profile.batching.classes = {{.slots = 2, .tokens_max = 700}, {.slots = 2, .tokens_max = 2'000}};
    profile.llama_steps = llama;
    SimEngine engine{profile, kBlock, false};
    const SimRequest small = request(1, {}, 7, 640, 10);
    const SimRequest large = request(2, {}, 8, 1'280, 10);
    ASSERT_TRUE(engine.submit(small, 10));
    ASSERT_TRUE(engine.submit(large, 10));
    EXPECT_NEAR(to_seconds(engine.begin_step()), llama ? 0.02 : 0.01, 1e-9);
    (void)engine.end_step();
  }
}

/// Steps until a prompt of 1,280 tokens has its first token beside a sequence that decodes. Each takes `times` as long
/// as planned.
std::uint64_t steps_beside_a_decode(bool llama, int times) {
  HardwareProfile profile;
  profile.llama_steps = llama;
  SimEngine engine{profile, kBlock, false};
  const SimRequest first = request(1, {}, 7, 640, 50);
  const SimRequest second = request(2, {}, 8, 1'280, 50);
  EXPECT_TRUE(engine.submit(first, 50));
  (void)engine.end_step(times * engine.begin_step());
  EXPECT_TRUE(engine.submit(second, 50));
  std::uint64_t steps = 0;
  for (bool begun = false; !begun; ++steps) {
    for (const EngineEvent& event : engine.end_step(times * engine.begin_step()))
      begun = begun || (event.request == 2 && event.first_token);
  }
  return steps;
}

TEST(SimEngine, ComputesPromptsInPiecesBesideWhatDecodesAsTheLlamaEngineDoes) {
  EXPECT_GT(steps_beside_a_decode(/*llama=*/true, 1), 2U);
  EXPECT_EQ(steps_beside_a_decode(/*llama=*/false, 1), 1U) << "2,048 tokens in a step";
}

TEST(SimEngine, TakesPromptsInSmallerPiecesWhereStepsTakeLongerThanPlanned) {
  EXPECT_GT(steps_beside_a_decode(/*llama=*/true, 4), steps_beside_a_decode(/*llama=*/true, 1));
}

TEST(SimEngine, LlamasSequencesOfOneBatchAttendToAsMuchAsTheLongest) {
  for (const bool llama : {false, true}) {
    HardwareProfile profile;
    profile.step_s = 0.01;
    profile.prefill_token_s = profile.prefill_token_per_kilotoken_s = profile.decode_sequence_s = 0;
    profile.decode_sequence_per_kilotoken_s = 0.1;
    profile.batching.classes = {{.slots = 2, .tokens_max = 2'000}};
    profile.llama_steps = llama;
    SimEngine engine{profile, kBlock, false};
    const SimRequest small = request(1, {}, 7, 64, 10);
    const SimRequest large = request(2, {}, 8, 640, 10);
    ASSERT_TRUE(engine.submit(small, 10));
    ASSERT_TRUE(engine.submit(large, 10));
    (void)engine.begin_step();
    (void)engine.end_step();
    const double kilotokens = llama ? 2 * 0.641 : 0.0645 + 0.6405;
    EXPECT_NEAR(to_seconds(engine.begin_step()), 0.01 + 0.1 * kilotokens, 1e-9);
  }
}

TEST(SimEngine, RestoresWhatItComputedBeforeAndEvictsTheOldest) {
  HardwareProfile profile;
  profile.store_tokens = 12 * kBlock;
  SimEngine engine{profile, kBlock, true};
  const auto serve = [&](const SimRequest& asked) {
    EXPECT_TRUE(engine.submit(asked, asked.output_tokens));
    std::uint32_t cached = 0;
    while (engine.busy()) {
      (void)engine.begin_step();
      for (const EngineEvent& event : engine.end_step()) cached = event.cached_tokens;
    }
    return cached;
  };
  EXPECT_EQ(serve(request(1, {}, 7)), 0U);
  EXPECT_EQ(serve(request(2, {}, 7)), 9 * kBlock) << "the last block holds the token whose logits are wanted";
  EXPECT_EQ(serve(request(3, {}, 8)), 0U);
  EXPECT_EQ(serve(request(4, {}, 7)), 2 * kBlock) << "ten of the twelve blocks are the other's now";
  std::uint64_t stored = 0;
  std::uint64_t removed = 0;
  for (const BlockChange& change : engine.take_block_changes()) ++(change.stored ? stored : removed);
  EXPECT_EQ(stored - removed, 12U);
}

TEST(Fleet, GivesEachRequestItsLatencies) {
  ListWorkload workload{{request(1, {}, 1), request(2, milliseconds{1'000}, 1)}};
  FirstUp policy;
  const FleetOptions options{.endpoints = 2};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), 2U);
  const HardwareProfile& profile = options.profile;
  const double prefill = 640 * (profile.prefill_token_s + profile.prefill_token_per_kilotoken_s * 0.32);
  EXPECT_NEAR(result.requests[0].ttft_ms, (profile.submit_s + profile.step_s + prefill + profile.stream_s) * 1e3, 0.01);
  EXPECT_LT(result.requests[1].ttft_ms, result.requests[0].ttft_ms) << "most of its prompt is cached";
  EXPECT_EQ(result.requests[1].cached_tokens, 9 * kBlock);
  EXPECT_GT(result.requests[0].tpot_ms, profile.step_s * 1e3);
  EXPECT_EQ(result.sent, (std::vector<std::uint64_t>{2, 0}));
  EXPECT_EQ(result.busy_s[1], 0.0);
}

TEST(Fleet, LetsTheNextTurnComeWhenTheUserHasThought) {
  SimRequest first = request(1, {}, 1);
  auto second = std::make_shared<SimRequest>(request(2, milliseconds{500}, 1, 704));
  first.next_turn = second;
  ListWorkload workload{{first}};
  FirstUp policy;
  const FleetResult result = run_fleet({.endpoints = 1}, workload, policy);
  ASSERT_EQ(result.requests.size(), 2U);
  EXPECT_EQ(result.requests[1].cached_tokens, 10 * kBlock) << "prompt and answer of the turn before";
  EXPECT_NEAR(result.measured_s * 1e3, result.requests[0].total_ms + 500 + result.requests[1].total_ms, 2.0);
}

TEST(Fleet, SendsElsewhereWhatADeadEndpointHadNotAnswered) {
  std::vector<SimRequest> requests;
  for (std::uint64_t i = 0; i < 20; ++i)
    requests.push_back(request(i, milliseconds{10 * static_cast<int>(i)}, i, 6'400, 100));
  ListWorkload workload{requests};
  FirstUp policy;
  FleetOptions options{.endpoints = 2};
  options.faults = {{.at = milliseconds{900}, .endpoint = 0, .kind = Fault::Kind::kDies}};
  const FleetResult result = run_fleet(options, workload, policy);
  EXPECT_EQ(result.requests.size(), 20U) << "none is lost or told twice";
  EXPECT_GT(result.retries, 0U);
  EXPECT_EQ(result.dispatched_to_dead, 0U);
  const auto failed = std::ranges::count_if(result.requests, &RequestResult::failed);
  EXPECT_GT(failed, 0) << "streams that had begun are cut";
  EXPECT_LT(failed, 20);
}

TEST(Fleet, WithoutAnyEndpointFailsAll) {
  ListWorkload workload{{request(1, milliseconds{10}, 1)}};
  FirstUp policy;
  FleetOptions options{.endpoints = 1};
  options.faults = {{.at = {}, .endpoint = 0, .kind = Fault::Kind::kDies}};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), 1U);
  EXPECT_TRUE(result.requests[0].failed);
}

TEST(Fleet, CutsAnAnswerThatItsSlotCannotHold) {
  ListWorkload workload{{request(1, {}, 1, 640, 200'000)}};
  FirstUp policy;
  FleetOptions options{.endpoints = 1};
  options.profile.batching.classes = {{.slots = 1, .tokens_max = 1'024}};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), 1U);
  EXPECT_FALSE(result.requests[0].failed);
  EXPECT_EQ(result.requests[0].output_tokens, 384U);
}

TEST(Fleet, ServesAgainAfterTheStartOfANewProcess) {
  std::vector<SimRequest> requests;
  for (std::uint64_t i = 0; i < 40; ++i) requests.push_back(request(i, milliseconds{100 * static_cast<int>(i)}, i));
  ListWorkload workload{requests};
  FirstUp policy;
  FleetOptions options{.endpoints = 2};
  options.profile.start_s = 1;
  options.faults = {{.at = milliseconds{1'050}, .endpoint = 0, .kind = Fault::Kind::kRestarts}};
  const FleetResult result = run_fleet(options, workload, policy);
  EXPECT_NEAR(static_cast<double>(result.sent[1]), 10, 1) << "one second of ten requests each";
  EXPECT_EQ(result.sent[0] + result.sent[1], 40U + result.retries);
}

TEST(Fleet, FinishesAStepThatWasPausedWithTheTimeItHadLeft) {
  const auto total = [](std::vector<Fault> faults) {
    ListWorkload workload{{request(1, {}, 1, 6'400, 2)}};
    FirstUp policy;
    FleetOptions options{.endpoints = 1};
    options.faults = std::move(faults);
    return run_fleet(options, workload, policy).requests.at(0).total_ms;
  };
  const Fault pause{
      .at = milliseconds{50}, .endpoint = 0, .kind = Fault::Kind::kPauses, .duration = milliseconds{1'000}};
  EXPECT_NEAR(total({pause}), total({}) + 1'000, 0.01);
  Fault shorter = pause;
  shorter.at = milliseconds{60};
  shorter.duration = milliseconds{100};
  EXPECT_NEAR(total({pause, shorter}), total({}) + 1'000, 0.01) << "it ends no pause early";
}

TEST(Fleet, TellsPoliciesWhichRequestItIs) {
  struct Notes final : FirstUp {
    PolicyChoice choose(const PolicyInput& input) override {
      ids.push_back(input.id);
      return FirstUp::choose(input);
    }
    void finished(const PolicyOutcome& outcome, TimePoint /*now*/) override { ended.push_back(outcome.id); }
    std::vector<std::uint64_t> ids;
    std::vector<std::uint64_t> ended;
  };
  ListWorkload workload{{request(7, {}, 1), request(9, milliseconds{500}, 2)}};
  Notes policy;
  (void)run_fleet({.endpoints = 1}, workload, policy);
  EXPECT_EQ(policy.ids, (std::vector<std::uint64_t>{7, 9}));
  EXPECT_EQ(policy.ended, policy.ids);
}

TEST(Fleet, ShowsReadingsLate) {
  struct Watches final : FirstUp {
    PolicyChoice choose(const PolicyInput& input) override {
      seen.push_back(input.snapshot.endpoints[0].running_requests.value.value_or(0));
      return FirstUp::choose(input);
    }
    std::vector<std::uint32_t> seen;
  };
  // Running from 1 ms on; read at 50 ms, seen at 150 ms.
  ListWorkload workload{
      {request(1, {}, 1, 640, 100), request(2, milliseconds{140}, 2), request(3, milliseconds{160}, 3)}};
  Watches policy;
  const FleetOptions options{.endpoints = 1, .scrape_interval = milliseconds{50}, .scrape_delay = milliseconds{100}};
  (void)run_fleet(options, workload, policy);
  EXPECT_EQ(policy.seen, (std::vector<std::uint32_t>{0, 0, 1}));
}

TEST(Fleet, KvGoesSlowlyBetweenRacksAndPoliciesKnowIt) {
  class Far final : public Policy {
   public:
    PolicyChoice choose(const PolicyInput& input) override {
      links = input.snapshot.links;
      return {.decode = input.id == 1 ? 2U : 1U, .prefill = 0};
    }
    std::shared_ptr<const LinkTable> links;
  };
  const auto ttft_with = [](std::uint32_t racks) {
    ListWorkload workload{{request(1, {}, 1), request(2, milliseconds{5'000}, 2)}};
    Far policy;
    const FleetOptions options{.endpoints = 3, .prefill_endpoints = 1, .racks = racks, .far_links = 50};
    const FleetResult result = run_fleet(options, workload, policy);
    EXPECT_EQ(policy.links != nullptr, racks > 1);
    if (policy.links != nullptr) {
      EXPECT_FLOAT_EQ(*policy.links->find("e0", "e2")->bandwidth_mbps.value, 12'500);
      EXPECT_FLOAT_EQ(*policy.links->find("e0", "e1")->bandwidth_mbps.value, 250);
    }
    return std::pair{result.requests.at(0).ttft_ms, result.requests.at(1).ttft_ms};
  };
  const auto [near, also_near] = ttft_with(1);
  const auto [same_rack, other_rack] = ttft_with(2);
  EXPECT_FLOAT_EQ(near, same_rack);
  const HardwareProfile profile;
  const double transfer_ms = 1e3 * 640 * profile.kv_bytes_per_token / profile.transfer_bytes_per_s;
  EXPECT_NEAR(other_rack - also_near, 49 * transfer_ms, 0.1);
}

/// How long one of two requests takes that two endpoints serve at the same time.
float total_ms_of_two(std::uint32_t cores, const HardwareProfile& profile = {}) {
  class EachItsOwn final : public Policy {
   public:
    PolicyChoice choose(const PolicyInput& input) override {
      return {.decode = static_cast<std::uint32_t>(input.id % 2)};
    }
  };
  ListWorkload workload{{request(1, {}, 1, 640, 50), request(2, {}, 2, 640, 50)}};
  EachItsOwn policy;
  return run_fleet({.endpoints = 2, .cores = cores, .profile = profile}, workload, policy).requests.at(0).total_ms;
}

TEST(Fleet, TwoEndpointsOnOneCoreTakeTwiceAsLong) {
  EXPECT_FLOAT_EQ(total_ms_of_two(0), total_ms_of_two(2));
  EXPECT_NEAR(total_ms_of_two(1), 2 * total_ms_of_two(2), 5);
}

TEST(Fleet, EndpointsOnOneMachineSlowEachOtherDownAsTheProfileSays) {
  HardwareProfile profile;
  profile.submit_s = 0;
  profile.stream_s = 0;
  const double alone = total_ms_of_two(2, profile);
  const double in_turns = total_ms_of_two(1, profile);
  profile.neighbour_slowdown = 0.25;
  EXPECT_NEAR(total_ms_of_two(2, profile), 1.25 * alone, 0.001 * alone);
  EXPECT_NEAR(total_ms_of_two(1, profile), in_turns, 0.001 * alone) << "there is no other core";
  EXPECT_NEAR(total_ms_of_two(0, profile), alone, 0.001 * alone) << "machines of their own";
  profile.sharing_slowdown = 0.1;
  EXPECT_NEAR(total_ms_of_two(1, profile), 1.1 * in_turns, 0.01 * alone);
}

TEST(Fleet, AddsTheTransferBetweenPrefillAndDecode) {
  ListWorkload workload{{request(1, {}, 1)}};
  Apart policy;
  const FleetOptions options{.endpoints = 2, .prefill_endpoints = 1};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), 1U);
  EXPECT_TRUE(result.requests[0].prefilled_apart);
  EXPECT_EQ(result.requests[0].endpoint, 1U);
  const double transfer = options.profile.transfer_latency_s +
                          640 * options.profile.kv_bytes_per_token / options.profile.transfer_bytes_per_s;
  EXPECT_GT(result.requests[0].ttft_ms, transfer * 1e3);
  EXPECT_GT(result.busy_s[0], 0.0);
  EXPECT_GT(result.busy_s[1], 0.0);
}

TEST(Fleet, ASecondAttemptTellsOfItselfOnly) {
  // Prefilled apart first; by the end of the transfer the decode endpoint is gone, and another does it all.
  class ApartOnce final : public Policy {
   public:
    PolicyChoice choose(const PolicyInput& /*input*/) override {
      return attempts++ == 0 ? PolicyChoice{.decode = 1, .prefill = 0} : PolicyChoice{.decode = 2};
    }
    void finished(const PolicyOutcome& outcome, TimePoint /*now*/) override { outcomes.push_back(outcome); }
    int attempts = 0;
    std::vector<PolicyOutcome> outcomes;
  };
  ListWorkload workload{{request(1, {}, 1)}};
  ApartOnce policy;
  FleetOptions options{.endpoints = 3, .prefill_endpoints = 1};
  options.faults = {{.at = milliseconds{1}, .endpoint = 1, .kind = Fault::Kind::kDies}};
  const FleetResult result = run_fleet(options, workload, policy);
  ASSERT_EQ(result.requests.size(), 1U);
  EXPECT_FALSE(result.requests[0].failed);
  EXPECT_FALSE(result.requests[0].prefilled_apart);
  ASSERT_EQ(policy.outcomes.size(), 2U);
  EXPECT_TRUE(policy.outcomes[0].failed);
  EXPECT_FALSE(policy.outcomes[1].prefilled_apart);
  EXPECT_EQ(policy.outcomes[1].attempts, 2U);
}

TEST(Fleet, IsTheSameForTheSameSeed) {
  const auto run = [] {
    std::vector<SimRequest> requests;
    for (std::uint64_t i = 0; i < 200; ++i)
      requests.push_back(
          request(i, milliseconds{static_cast<int>(i)}, i % 9, 640 + 64 * static_cast<std::uint32_t>(i % 7)));
    ListWorkload workload{requests};
    FirstUp policy;
    FleetOptions options{.endpoints = 3};
    options.faults = {
        {.at = milliseconds{90}, .endpoint = 0, .kind = Fault::Kind::kPauses, .duration = milliseconds{50}},
        {.at = milliseconds{150}, .endpoint = 0, .kind = Fault::Kind::kDies},
        {.at = milliseconds{180}, .endpoint = 0, .kind = Fault::Kind::kRestarts}};
    return run_fleet(options, workload, policy);
  };
  const FleetResult a = run();
  const FleetResult b = run();
  ASSERT_EQ(a.requests.size(), b.requests.size());
  for (std::size_t i = 0; i < a.requests.size(); ++i) {
    EXPECT_EQ(a.requests[i].ttft_ms, b.requests[i].ttft_ms);
    EXPECT_EQ(a.requests[i].total_ms, b.requests[i].total_ms);
  }
}

TEST(Summary, CountsWhatMetTheObjectives) {
  FleetResult result;
  result.measured_s = 10;
  result.busy_s = {8, 4};
  result.load = {3, 1};
  result.output_tokens = 180;
  for (int i = 1; i <= 10; ++i) {
    RequestResult& each = result.requests.emplace_back();
    each.ttft_ms = static_cast<float>(i * 100);
    each.tpot_ms = 10;
    each.total_ms = 1'000;
    each.prompt_tokens = 100;
    each.cached_tokens = 25;
    each.output_tokens = 20;
    each.tenant = static_cast<std::uint16_t>(i % 2);
  }
  result.requests.back().failed = true;
  result.requests.front().slo_ttft_ms = 50;  // its own, which it misses
  const Summary summary = summarise(result, {.ttft_ms = 500, .tpot_ms = 20});
  EXPECT_EQ(summary.requests, 10U);
  EXPECT_EQ(summary.failed, 1U);
  EXPECT_EQ(summary.ttft_ms.p50, 500);
  EXPECT_EQ(summary.ttft_ms.p90, 900);
  EXPECT_DOUBLE_EQ(summary.goodput, 0.4);  // 200 to 500 ms
  EXPECT_DOUBLE_EQ(summary.goodput_rps, 0.4);
  EXPECT_DOUBLE_EQ(summary.tokens_per_s, 18);
  EXPECT_DOUBLE_EQ(summary.hit_rate, 0.25);
  EXPECT_DOUBLE_EQ(summary.busy_mean, 0.6);
  EXPECT_NEAR(summary.busy_variation, 1.0 / 3, 1e-12);
  EXPECT_NEAR(summary.load_variation, 0.5, 1e-12);
  EXPECT_DOUBLE_EQ(summary.arrivals_rps, 1);
  EXPECT_NEAR(summary.fairness, 1.0, 1e-12);  // two of five each
}

TEST(Estimate, WidensWithScatterAndFewRuns) {
  EXPECT_EQ(estimate(std::vector<double>{3}).half_width, 0);
  const Estimate three = estimate(std::vector<double>{1, 2, 3});
  EXPECT_DOUBLE_EQ(three.mean, 2);
  EXPECT_NEAR(three.half_width, 4.303 / std::sqrt(3.0), 1e-9);
}

/// 200 requests of one tenant at once, before one endpoint with four slots; 20 ms later one that is more urgent.
std::vector<SimRequest> flood() {
  std::vector<SimRequest> requests;
  for (std::uint64_t id = 1; id <= 200; ++id) requests.push_back(request(id, milliseconds{0}, id));
  requests.push_back(request(1'000, milliseconds{20}, 1'000));
  requests.back().priority = 1;
  return requests;
}

FleetOptions four_slots() {
  FleetOptions options{.endpoints = 1};
  options.profile.batching.classes = {{.slots = 4, .tokens_max = 4'096}};
  return options;
}

TEST(FleetFlow, WhatDoesNotFitWaitsBeforeThePolicyAndNotAtTheEngine) {
  ListWorkload without{flood()};
  FirstUp policy;
  const FleetResult plain = run_fleet(four_slots(), without, policy);
  ListWorkload with{flood()};
  const auto flow = flow_control();
  const FleetResult held = run_fleet(four_slots(), with, policy, flow.get());
  EXPECT_GT(plain.waiting_peak, 150U);
  EXPECT_LE(held.waiting_peak, 6U) << "the detector's 5, and one that was on its way when a reading was taken";
  EXPECT_GT(held.held_back, 150U);
  EXPECT_EQ(held.turned_away, 0U);
  ASSERT_EQ(held.requests.size(), 201U);
  const auto urgent = std::ranges::find(held.requests, 1'000U, &RequestResult::id);
  const auto passed =
      std::ranges::count_if(held.requests, [&](const RequestResult& each) { return each.ttft_ms > urgent->ttft_ms; });
  EXPECT_GT(passed, 180) << "it passes those that wait";
  const auto total = [](const FleetResult& result) {
    return std::ranges::max(result.requests, {}, &RequestResult::total_ms).total_ms;
  };
  EXPECT_LT(total(held), total(plain) * 1.05F) << "and the endpoint is as busy as without";
}

TEST(FleetFlow, WhatIsRefusedOrWaitsTooLongHasFailedAndIsCounted) {
  flow::FlowConfig config;
  config.requests_max = 100;
  config.ttl = milliseconds{500};
  ListWorkload workload{flood()};
  FirstUp policy;
  const auto flow = flow_control(config);
  const FleetResult result = run_fleet(four_slots(), workload, policy, flow.get());
  EXPECT_EQ(result.requests.size(), 201U);
  const auto failed = static_cast<std::uint64_t>(std::ranges::count(result.requests, true, &RequestResult::failed));
  EXPECT_EQ(failed, result.turned_away);
  EXPECT_GT(failed, 100U);
  for (const RequestResult& each : result.requests) {
    if (!each.failed) {
      EXPECT_LT(each.ttft_ms, 1'500.0F);
    }
  }
}

/// Keeps what it hears.
class KeptSamples final : public LoadSampler {
 public:
  void sample(Duration at, std::span<const LoadSample> loads) override {
    times.push_back(at);
    kept.emplace_back(loads.begin(), loads.end());
  }
  std::vector<Duration> times;
  std::vector<std::vector<LoadSample>> kept;
};

TEST(Fleet, TellsTheLoadOfEachEndpointAtEachInterval) {
  FleetOptions options{.endpoints = 2};
  std::vector<SimRequest> requests;
  for (std::uint64_t id = 1; id <= 40; ++id) {
    requests.push_back({.id = id, .arrival = milliseconds{100 * id}, .prompt_tokens = 4'096, .output_tokens = 200});
    requests.back().blocks = chain(id, 4'096);
  }
  const auto run = [&](LoadSampler* sampler) {
    options.load_sampler = sampler;
    options.load_interval = milliseconds{500};
    ListWorkload workload{requests};
    FirstUp policy{1};
    return run_fleet(options, workload, policy);
  };
  KeptSamples samples;
  const FleetResult result = run(&samples);
  ASSERT_GT(samples.kept.size(), 8U);
  double busy_s = 0;
  std::uint32_t most = 0;
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < samples.kept.size(); ++i) {
    ASSERT_EQ(samples.kept[i].size(), 2U);
    EXPECT_EQ(samples.times[i], milliseconds{500} * static_cast<int>(i + 1));
    EXPECT_EQ(samples.kept[i][0].requests, 0U);  // nothing was sent there
    EXPECT_EQ(samples.kept[i][0].busy, 0);
    EXPECT_LE(samples.kept[i][1].busy, 1.0 + 1e-9);
    busy_s += 0.5 * samples.kept[i][1].busy;
    most = std::max(most, samples.kept[i][1].requests);
    tokens = std::max(tokens, samples.kept[i][1].tokens);
  }
  EXPECT_GT(most, 1U);
  EXPECT_GE(tokens, 4'096U);
  EXPECT_NEAR(busy_s, result.busy_s[1], 0.5);  // but for the end
  // Who looks changes nothing.
  const FleetResult unseen = run(nullptr);
  ASSERT_EQ(unseen.requests.size(), result.requests.size());
  for (std::size_t i = 0; i < unseen.requests.size(); ++i)
    EXPECT_EQ(unseen.requests[i].total_ms, result.requests[i].total_ms);
}

}  // namespace
}  // namespace llmd::simulation
