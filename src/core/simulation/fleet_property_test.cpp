// Swarm tests: each seed draws a fleet, a workload, a policy and faults, of which some kinds are switched off.
// LLMD_SEED=n replays one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "simulation/fleet.h"
#include "simulation/policies/make_policy.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kBlock = 64;
constexpr std::uint64_t kSeeds = 2'000;

class DrawnWorkload final : public Workload {
 public:
  explicit DrawnWorkload(std::uint64_t seed) : rng_{seed}, left_{5 + rng_.below(40)} {}

  std::optional<SimRequest> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    at_ += milliseconds{static_cast<std::int64_t>(rng_.below(60))};
    SimRequest request = draw(at_);
    if (rng_.chance(0.3)) {
      SimRequest turn = draw(milliseconds{static_cast<std::int64_t>(rng_.below(200))});
      turn.session = request.session;
      request.next_turn = std::make_shared<const SimRequest>(std::move(turn));
    }
    sessions_.emplace_back(request.id, request.next_turn == nullptr ? request.id : request.next_turn->id);
    return request;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return kBlock; }
  /// Of each session the ids of its first and last turn.
  [[nodiscard]] const auto& sessions() const noexcept { return sessions_; }

 private:
  SimRequest draw(Duration arrival) {
    SimRequest request{.id = id_++,
                       .arrival = arrival,
                       .prompt_tokens = static_cast<std::uint32_t>(1 + rng_.below(3'000)),
                       .output_tokens = static_cast<std::uint32_t>(1 + rng_.below(60)),
                       .session = static_cast<std::uint32_t>(rng_.below(6)),
                       .priority = static_cast<std::int32_t>(rng_.below(3)) - 1};
    const std::uint64_t shared = rng_.below(4);
    std::uint64_t name = 0;
    for (std::uint32_t i = 0; i < (request.prompt_tokens + request.output_tokens) / kBlock; ++i) {
      name = chain_block(name, i < 8 ? shared : request.id);
      request.blocks.push_back(name);
    }
    return request;
  }

  Rng rng_;
  std::uint64_t left_;
  Duration at_{};
  std::uint64_t id_ = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sessions_;
};

FleetOptions draw_fleet(Rng& rng) {
  FleetOptions options{.endpoints = static_cast<std::uint32_t>(1 + rng.below(6)), .seed = rng.next()};
  if (options.endpoints > 1 && rng.chance(0.3)) options.prefill_endpoints = 1;
  options.rebalance_roles = options.prefill_endpoints > 0 && rng.chance(0.5);
  if (rng.chance(0.2)) {
    options.cores = static_cast<std::uint32_t>(1 + rng.below(options.endpoints));
    if (rng.chance(0.5)) options.profile.neighbour_slowdown = rng.uniform() * 0.2;
    if (rng.chance(0.5)) options.profile.sharing_slowdown = rng.uniform() * 0.2;
  }
  options.profile.start_s = rng.uniform() * 0.5;
  options.scrape_delay = milliseconds{static_cast<std::int64_t>(rng.below(100))};
  options.scrape_interval = milliseconds{static_cast<std::int64_t>(1 + rng.below(500))};
  options.profile.store_tokens = kBlock * (1 + rng.below(200));
  options.profile.batching.classes = {{.slots = static_cast<std::uint32_t>(1 + rng.below(4)), .tokens_max = 1'024},
                                      {.slots = static_cast<std::uint32_t>(1 + rng.below(3)), .tokens_max = 4'096}};
  options.profile.batching.step_tokens_max = static_cast<std::uint32_t>(64 + rng.below(1'000));
  options.profile.batching.prefill_chunk_max = options.profile.batching.step_tokens_max;
  options.profile.batching.waiting_max = static_cast<std::uint32_t>(1 + rng.below(30));
  // Quick enough to move within such a run.
  options.outliers.enabled = rng.chance(0.8);
  options.outliers.interval = milliseconds{static_cast<std::int64_t>(20 + rng.below(200))};
  options.outliers.observations_min = static_cast<std::uint32_t>(2 + rng.below(4));
  options.outliers.peers_min = static_cast<std::uint32_t>(1 + rng.below(3));
  options.outliers.tpot_factor_min = 1.2F;
  options.outliers.z_min = static_cast<float>(rng.uniform() * 3);
  options.outliers.hold = milliseconds{static_cast<std::int64_t>(rng.below(500))};
  options.outliers.pause_min = milliseconds{static_cast<std::int64_t>(1 + rng.below(300))};
  const bool deaths = rng.chance(0.5);
  const bool pauses = rng.chance(0.5) && options.cores == 0;
  const bool slow = rng.chance(0.5);
  for (std::uint64_t i = rng.below(6); i > 0; --i) {
    const auto at = milliseconds{static_cast<std::int64_t>(rng.below(2'500))};
    const auto endpoint = static_cast<std::uint32_t>(rng.below(options.endpoints));
    if (deaths) {
      options.faults.push_back({.at = at, .endpoint = endpoint, .kind = Fault::Kind::kDies});
      if (rng.chance(0.7))
        options.faults.push_back({.at = at + milliseconds{static_cast<std::int64_t>(rng.below(800))},
                                  .endpoint = endpoint,
                                  .kind = Fault::Kind::kRestarts});
    }
    if (pauses) {
      options.faults.push_back({.at = at,
                                .endpoint = static_cast<std::uint32_t>(rng.below(options.endpoints)),
                                .kind = Fault::Kind::kPauses,
                                .duration = milliseconds{static_cast<std::int64_t>(rng.below(700))}});
    }
    if (slow) {
      options.faults.push_back({.at = at,
                                .endpoint = static_cast<std::uint32_t>(rng.below(options.endpoints)),
                                .kind = Fault::Kind::kSlows,
                                .factor = 1 + rng.uniform() * 9});
    }
  }
  return options;
}

struct Outcome {
  FleetOptions options;
  FleetResult result;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> sessions;
};

constexpr const char* kFairness[] = {"global-strict-fairness-policy", "round-robin-fairness-policy",
                                     "virtual-token-counter-fairness-policy", "program-aware-fairness"};
constexpr const char* kOrdering[] = {"fcfs-ordering-policy", "edf-ordering-policy", "slo-deadline-ordering-policy",
                                     "shortest-uncached-prefill-ordering-policy"};

/// Null for half of the seeds.
std::unique_ptr<FlowControl> draw_flow(Rng& rng) {
  if (rng.chance(0.5)) return nullptr;
  flow::FlowConfig config;
  config.ttl = milliseconds{static_cast<std::int64_t>(50 + rng.below(5'000))};
  config.ttl_no_endpoint = milliseconds{static_cast<std::int64_t>(50 + rng.below(5'000))};
  if (rng.chance(0.3)) config.requests_max = 1 + rng.below(20);
  if (rng.chance(0.3)) config.bytes_max = 1'000 + rng.below(50'000);
  if (rng.chance(0.3)) config.saturation_detector = "concurrency-detector";
  if (rng.chance(0.3)) config.usage_limit = "soft-reflective-ceiling-policy";
  for (std::int32_t priority = -1; priority < 2; ++priority) {
    config.bands.push_back(
        {.priority = priority, .fairness = kFairness[rng.below(4)], .ordering = kOrdering[rng.below(4)]});
  }
  auto made = FlowControl::make(config, {});
  EXPECT_TRUE(made.has_value());
  return made ? *std::move(made) : nullptr;
}

Outcome run_seed(std::uint64_t seed) {
  Rng rng{seed};
  const FleetOptions options = draw_fleet(rng);
  DrawnWorkload workload{rng.next()};
  const auto& names = policy_names();
  const auto policy = make_policy(names[rng.below(names.size())], rng.next());
  const auto flow = draw_flow(rng);
  FleetResult result = run_fleet(options, workload, *policy, flow.get());
  if (flow != nullptr) {
    EXPECT_EQ(flow->waiting(), 0U) << "never told";
  }
  return {options, std::move(result), workload.sessions()};
}

void check(const Outcome& outcome) {
  const FleetResult& result = outcome.result;
  std::map<std::uint64_t, bool> failed;
  for (const RequestResult& request : result.requests)
    EXPECT_TRUE(failed.emplace(request.id, request.failed).second) << request.id << " was answered twice";
  std::size_t told = 0;
  for (const auto& [first, last] : outcome.sessions) {
    ASSERT_TRUE(failed.contains(first)) << first << " was lost";
    ++told;
    if (last == first) continue;
    EXPECT_EQ(failed.contains(last), !failed.at(first))
        << last << ": it comes if and only if its turn before ended well";
    told += failed.contains(last) ? 1 : 0;
  }
  EXPECT_EQ(told, failed.size()) << "of requests that nobody made";
  EXPECT_EQ(result.dispatched_to_dead, 0U);
  const batching::BatchingOptions& batching = outcome.options.profile.batching;
  EXPECT_LE(result.running_peak, batching.classes[0].slots + batching.classes[1].slots);
  EXPECT_LE(result.waiting_peak, batching.waiting_max + result.running_peak) << "what was preempted waits beyond it";
  EXPECT_LE(result.kv_usage_peak, 1.0F);
  for (const RequestResult& request : result.requests) {
    if (request.failed) continue;
    EXPECT_GT(request.ttft_ms, 0.0F);
    EXPECT_GE(request.total_ms, request.ttft_ms);
    EXPECT_LT(request.cached_tokens, std::max(1U, request.prompt_tokens));
  }
}

/// Of endpoints below full share there are never more than their part, and what changes are told fit together.
void check_shares(const Outcome& outcome) {
  std::map<std::uint32_t, float> reduced;
  TimePoint last{};
  for (const ShareChange& change : outcome.result.share_changes) {
    EXPECT_GE(change.at, last);
    last = change.at;
    const auto before = reduced.find(change.endpoint);
    EXPECT_NE(before == reduced.end() ? 1.0F : before->second, change.share.share) << "no change";
    if (change.share.share >= 1) {
      reduced.erase(change.endpoint);
    } else {
      reduced[change.endpoint] = change.share.share;
    }
    EXPECT_LE(reduced.size(), outcome.options.endpoints / 3);
  }
}

std::uint64_t seeds_begin() {
  const char* wanted = std::getenv("LLMD_SEED");
  return wanted == nullptr ? 0 : std::strtoull(wanted, nullptr, 10);
}

TEST(FleetSwarm, LosesNothingAndAnswersNothingTwiceWhateverHappens) {
  const std::uint64_t begin = seeds_begin();
  const std::uint64_t end = std::getenv("LLMD_SEED") == nullptr ? kSeeds : begin + 1;
  std::size_t moves = 0;
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    SCOPED_TRACE(fmt::format("replay: LLMD_SEED={} llmd_simulation_test --gtest_filter=FleetSwarm.*", seed));
    const Outcome outcome = run_seed(seed);
    check(outcome);
    check_shares(outcome);
    moves += outcome.result.share_changes.size();
    if (testing::Test::HasFailure()) return;
  }
  if (end - begin > 1) {
    EXPECT_GT(moves, kSeeds / 50) << "else nothing of outliers was tried";
  }
}

TEST(FleetSwarm, IsTheSameForTheSameSeed) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Outcome a = run_seed(seed);
    const Outcome b = run_seed(seed);
    ASSERT_EQ(a.result.requests.size(), b.result.requests.size()) << seed;
    for (std::size_t i = 0; i < a.result.requests.size(); ++i)
      ASSERT_EQ(a.result.requests[i].total_ms, b.result.requests[i].total_ms) << "seed " << seed;
  }
}

}  // namespace
}  // namespace llmd::simulation
