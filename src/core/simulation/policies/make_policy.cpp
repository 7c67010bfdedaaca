#include "simulation/policies/make_policy.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "simulation/policies/dynamo_cost_policy.h"
#include "simulation/policies/least_requests_policy.h"
#include "simulation/policies/llmd_policy.h"
#include "simulation/policies/power_of_two_policy.h"
#include "simulation/policies/random_policy.h"
#include "simulation/policies/round_robin_policy.h"
#include "simulation/policies/session_hash_policy.h"
#include "simulation/policies/sglang_cache_aware_policy.h"

namespace llmd::simulation {
namespace {

using Maker = std::unique_ptr<Policy> (*)(std::uint64_t seed);

template <class Made>
std::unique_ptr<Policy> plain(std::uint64_t /*seed*/) {
  return std::make_unique<Made>();
}

template <class Made>
std::unique_ptr<Policy> with_options(std::uint64_t /*seed*/) {
  return std::make_unique<Made>(typename Made::Options{});
}

std::unique_ptr<Policy> llmd_default(std::uint64_t seed) {
  auto made = LlmdPolicy::make({}, {.seed = seed});
  return made ? std::move(*made) : nullptr;  // an empty configuration is always valid
}

/// One profile of these scorers, with the precise index.
std::unique_ptr<Policy> precise(std::vector<scheduling::PluginRef> scorers, std::uint64_t seed) {
  scheduling::SchedulingConfig config;
  for (const scheduling::PluginRef& scorer : scorers) config.plugins.push_back({.type = scorer.plugin});
  config.profiles = {{.name = "default", .plugins = std::move(scorers)}};
  auto made = LlmdPolicy::make(std::move(config), {.seed = seed, .precise = true});
  return made ? std::move(*made) : nullptr;  // the names are those of types: always valid
}

// llm-d-router at ebab687927f5331c1b39defcb579a07951bce56c, deploy/config/epp-precise-prefix-cache-config.yaml.
std::unique_ptr<Policy> llmd_precise_prefix(std::uint64_t seed) {
  return precise({{"prefix-cache-scorer", 2}, {"kv-cache-utilization-scorer", 1}, {"queue-scorer", 1}}, seed);
}

// The same, test/perf/config/router-configs/precise-prefix.yaml: what its own benchmarks run.
std::unique_ptr<Policy> llmd_precise_perf(std::uint64_t seed) {
  return precise({{"active-request-scorer", 4},
                  {"kv-cache-utilization-scorer", 2},
                  {"prefix-cache-scorer", 2},
                  {"no-hit-lru-scorer", 2}},
                 seed);
}

// The same, config/charts/routerlib/templates/_config.yaml with its latency predictor enabled; the predictor is ours in
// the place of its trained models.
std::unique_ptr<Policy> llmd_predicted_latency(std::uint64_t seed) {
  const auto affinity = [](std::string name, double threshold) {
    scheduling::PluginInstance filter{.name = std::move(name), .type = "prefix-cache-affinity-filter"};
    filter.parameters.set("affinityThreshold", threshold);
    filter.parameters.set("ttftSource", std::string{"latencyPredictor"});
    filter.parameters.set("maxTTFTPenaltyMs", 5'000.0);
    return filter;
  };
  scheduling::SchedulingConfig config;
  config.plugins = {{.type = "predicted-latency-producer"},  affinity("strict-affinity-filter", 0.99),
                    affinity("loose-affinity-filter", 0.80), {.type = "latency-scorer"},
                    {.type = "weighted-random-picker"},      {.type = "slo-headroom-tier-filter"},
                    {.type = "latency-slo-admitter"}};
  config.profiles = {{.name = "default",
                      .plugins = {{"strict-affinity-filter"},
                                  {"slo-headroom-tier-filter"},
                                  {"loose-affinity-filter"},
                                  {"latency-scorer"},
                                  {"weighted-random-picker"}}}};
  auto made = LlmdPolicy::make(std::move(config), {.seed = seed});
  return made ? std::move(*made) : nullptr;
}

// Ours, as host/config has it for a gateway without a configuration.
std::unique_ptr<Policy> expected_latency(std::uint64_t seed) {
  scheduling::SchedulingConfig config;
  config.profiles = {{.name = "default",
                      .plugins = {{"expected-latency-scorer", 1'000},
                                  {"queue-scorer", 2},
                                  {"kv-cache-utilization-scorer", 2},
                                  {"prefix-cache-scorer", 3},
                                  {"active-request-scorer", 2}}}};
  for (const scheduling::PluginRef& scorer : config.profiles.front().plugins)
    config.plugins.push_back({.type = scorer.plugin});
  auto made = LlmdPolicy::make(std::move(config), {.seed = seed});
  return made ? std::move(*made) : nullptr;  // the names are those of types: always valid
}

struct NamedMaker {
  std::string_view name;
  Maker make;
};

constexpr std::array kMakers{
    NamedMaker{"random", plain<RandomPolicy>},
    NamedMaker{"round-robin", plain<RoundRobinPolicy>},
    NamedMaker{"least-requests", plain<LeastRequestsPolicy>},
    NamedMaker{"power-of-two", plain<PowerOfTwoPolicy>},
    NamedMaker{"session-hash", with_options<SessionHashPolicy>},
    NamedMaker{"sglang-cache-aware", with_options<SglangCacheAwarePolicy>},
    NamedMaker{"dynamo-cost", with_options<DynamoCostPolicy>},
    NamedMaker{"llm-d-default", llmd_default},
    NamedMaker{"llm-d-precise-prefix", llmd_precise_prefix},
    NamedMaker{"llm-d-precise-prefix-perf", llmd_precise_perf},
    NamedMaker{"llm-d-predicted-latency", llmd_predicted_latency},
    NamedMaker{"expected-latency", expected_latency},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kMakers.size()> names;
  std::ranges::transform(kMakers, names.begin(), &NamedMaker::name);
  return names;
}();

}  // namespace

std::unique_ptr<Policy> make_policy(std::string_view name, std::uint64_t seed) {
  const auto known = std::ranges::find(kMakers, name, &NamedMaker::name);
  return known == kMakers.end() ? nullptr : known->make(seed);
}

std::span<const std::string_view> policy_names() noexcept { return kNames; }

}  // namespace llmd::simulation
