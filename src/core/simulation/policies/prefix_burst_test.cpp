// A burst of requests that share a new prefix: it must not be computed everywhere before the first endpoint has it, and
// it must not all wait at that endpoint.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "simulation/fleet.h"
#include "simulation/policies/llmd_policy.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kBlock = 64;
constexpr std::uint32_t kPrefixBlocks = 128;  // 8k tokens
constexpr std::uint32_t kEndpoints = 16;

class Burst final : public Workload {
 public:
  Burst(std::uint64_t requests, Duration over) : requests_{requests}, over_{over} {
    for (std::uint32_t i = 0; i < kPrefixBlocks; ++i) prefix_.push_back(chain_block(i == 0 ? 0 : prefix_.back(), 7));
  }
  std::optional<SimRequest> next() override {
    if (at_ == requests_) return std::nullopt;
    const std::uint64_t id = ++at_;
    SimRequest request{.id = id,
                       .arrival = over_ * static_cast<std::int64_t>(id) / static_cast<std::int64_t>(requests_),
                       .prompt_tokens = (kPrefixBlocks + 1) * kBlock,
                       .output_tokens = 64,
                       .blocks = prefix_};
    request.blocks.push_back(chain_block(prefix_.back(), 100 + id));
    request.blocks.push_back(chain_block(request.blocks.back(), 1));
    return request;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return kBlock; }

 private:
  std::uint64_t requests_;
  Duration over_;
  std::uint64_t at_ = 0;
  std::vector<std::uint64_t> prefix_;
};

/// A policy, and what it did.
struct Watched final : Policy {
  explicit Watched(Policy& policy) : inner{policy} {}
  PolicyChoice choose(const PolicyInput& input) override {
    const PolicyChoice choice = inner.choose(input);
    std::uint32_t total = 0;
    for (const auto& each : input.live) total += each.requests;
    in_flight_max = std::max(in_flight_max, total + 1);
    const std::uint32_t chosen = input.live[choice.decode].requests;
    deepest = std::max(deepest, chosen + 1);
    const double mean = static_cast<double>(total) / static_cast<double>(input.live.size());
    if (chosen >= kFree) above_mean = std::max(above_mean, chosen / mean);
    holders.insert(choice.decode);
    return choice;
  }
  void sent(const PolicyInput& input, const PolicyChoice& choice) override { inner.sent(input, choice); }
  void finished(const PolicyOutcome& outcome, TimePoint now) override { inner.finished(outcome, now); }

  static constexpr std::uint32_t kFree = 8;  // of bounded-load-filter
  Policy& inner;
  std::set<std::uint32_t> holders;
  std::uint32_t in_flight_max = 0;
  std::uint32_t deepest = 0;  // requests in flight at one endpoint
  double above_mean = 0;      // that an endpoint had, times the mean, when it got one more than `kFree`
};

struct Outcome {
  std::size_t holders;
  std::size_t computed;  // requests that found less than half of the prefix
  std::uint32_t in_flight_max;
  std::uint32_t deepest;
  double above_mean;
  float ttft_p50_ms;
};

/// llm-d's default scorers, with bounded-load-filter before them or without.
Outcome send_burst(std::uint64_t requests, Duration over, std::vector<scheduling::PluginRef> filters) {
  scheduling::SchedulingConfig config;
  std::vector<scheduling::PluginRef> refs = std::move(filters);
  for (const auto& [type, weight] :
       {std::pair{"queue-scorer", 2.0}, {"kv-cache-utilization-scorer", 2.0}, {"prefix-cache-scorer", 3.0}})
    refs.push_back({type, weight});
  for (const scheduling::PluginRef& ref : refs) config.plugins.push_back({.type = ref.plugin});
  config.profiles = {{.name = "default", .plugins = std::move(refs)}};
  const auto policy = LlmdPolicy::make(std::move(config), {.seed = 1}).value();
  Watched watched{*policy};
  Burst burst{requests, over};
  const FleetResult result = run_fleet({.endpoints = kEndpoints}, burst, watched);
  std::vector<float> ttft;
  std::size_t computed = 0;
  for (const RequestResult& each : result.requests) {
    EXPECT_FALSE(each.failed);
    ttft.push_back(each.ttft_ms);
    computed += each.cached_tokens < kPrefixBlocks * kBlock / 2 ? 1 : 0;
  }
  EXPECT_EQ(ttft.size(), requests);
  std::ranges::nth_element(ttft, ttft.begin() + static_cast<std::ptrdiff_t>(ttft.size() / 2));
  return {.holders = watched.holders.size(),
          .computed = computed,
          .in_flight_max = watched.in_flight_max,
          .deepest = watched.deepest,
          .above_mean = watched.above_mean,
          .ttft_p50_ms = ttft[ttft.size() / 2]};
}

TEST(PrefixBurst, SpreadsOverAsManyEndpointsAsTheLoadAsksAndNoMore) {
  for (const std::uint64_t requests : {8ULL, 16ULL, 64ULL, 256ULL}) {
    for (const milliseconds over : {milliseconds{10}, milliseconds{1'000}, milliseconds{5'000}}) {
      SCOPED_TRACE(testing::Message() << requests << " requests in " << over.count() << " ms");
      const Outcome outcome = send_burst(requests, over, {{"bounded-load-filter", 1}});
      // Eight requests an endpoint are free; a further endpoint is used only for more.
      EXPECT_LE(outcome.holders, (outcome.in_flight_max + 7) / 8);
      EXPECT_EQ(outcome.computed, outcome.holders) << "an endpoint computes the prefix once, whoever waits for it";
      EXPECT_LT(outcome.above_mean, 1.5);
      EXPECT_LE(outcome.deepest, std::max(8.0, 1.5 * static_cast<double>(outcome.in_flight_max) / kEndpoints + 1));
    }
  }
}

TEST(PrefixBurst, WithLlmdsDefaultAloneAllWaitAtOneEndpoint) {
  const Outcome piled = send_burst(256, seconds{1}, {});
  EXPECT_EQ(piled.holders, 1U);
  EXPECT_EQ(piled.deepest, 256U);
  const Outcome spread = send_burst(256, seconds{1}, {{"bounded-load-filter", 1}});
  EXPECT_LT(spread.ttft_p50_ms, piled.ttft_p50_ms / 5);
}

}  // namespace
}  // namespace llmd::simulation
