// links: llmd_simulation llmd_health llmd_base
// Question: what does the detection of endpoints that stand out do to fleets of 16 in virtual time? The numbers that
// matter: wronged (times that a healthy endpoint was cut, on workloads near the fleet's limit and away from it; wanted:
// less than one in 100 endpoint hours), and with one endpoint that is slower the TTFT p99 and what was still sent
// there, with the detection and without. Baseline: detection off. Time says nothing here. Estimate before measuring:
// none wronged; with one of 16 four times as slow a tenth of its traffic and half the p99 under policies blind to
// speed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "simulation/fleet.h"
#include "simulation/policies/make_policy.h"
#include "simulation/summary.h"
#include "simulation/workloads/catalog.h"

namespace {

using namespace llmd;              // NOLINT(google-build-using-namespace): a program of one file
using namespace llmd::simulation;  // NOLINT(google-build-using-namespace)

constexpr std::uint32_t kEndpoints = 16;
constexpr std::uint32_t kSlow = 3;  // the endpoint that is slower

struct Traffic {
  const char* workload;
  double rate_per_s;
};
constexpr Traffic kTraffic[] = {{"chat", 45},  {"documents", 2},      {"documents", 6},
                                {"agents", 8}, {"shared-prefix", 30}, {"tenants", 20}};
constexpr const char* kPolicies[] = {"llm-d-default", "least-requests", "expected-latency", "random"};

FleetResult run(const Traffic& traffic, const char* policy, std::uint64_t seed, double slow_by, bool detects) {
  FleetOptions options{.endpoints = kEndpoints, .seed = seed};
  options.scrape_interval = milliseconds{200};
  options.outliers.enabled = detects;
  if (slow_by > 1)
    options.faults = {{.at = seconds{20}, .endpoint = kSlow, .kind = Fault::Kind::kSlows, .factor = slow_by}};
  const auto workload =
      make_workload(traffic.workload, {.requests = 6'000, .rate_per_s = traffic.rate_per_s, .seed = seed});
  const auto made = make_policy(policy, seed);
  return run_fleet(options, *workload, *made);
}

std::string label(const Traffic& traffic, const char* policy) {
  return std::string{traffic.workload} + " at " + std::to_string(static_cast<int>(traffic.rate_per_s)) + "/s, " +
         policy;
}

/// One seed an iteration, from 1 on; counters are sums over them.
void healthy(benchmark::State& state) {
  const Traffic& traffic = kTraffic[state.range(0)];
  const char* policy = kPolicies[state.range(1)];
  std::uint64_t seed = 0;
  std::size_t wronged = 0;
  double hours = 0;
  for ([[maybe_unused]] auto step : state) {
    const FleetResult result = run(traffic, policy, ++seed, 1, true);
    wronged += static_cast<std::size_t>(std::ranges::count_if(
        result.share_changes, [](const ShareChange& change) { return change.share.share == 0.5F; }));
    hours += result.measured_s * kEndpoints / 3'600;
  }
  state.counters["wronged"] = static_cast<double>(wronged);
  state.counters["endpoint_hours"] = hours;
  state.SetLabel(label(traffic, policy));
}

void one_is_slow(benchmark::State& state) {
  const Traffic& traffic = kTraffic[state.range(0)];
  const char* policy = kPolicies[state.range(1)];
  FleetResult result;
  for ([[maybe_unused]] auto step : state)
    result = run(traffic, policy, 1, static_cast<double>(state.range(2)), state.range(3) != 0);
  const Summary summary = summarise(result, {});
  state.counters["goodput"] = summary.goodput;
  state.counters["ttft_p99_ms"] = summary.ttft_ms.p99;
  state.counters["sent_to_it"] = static_cast<double>(result.sent[kSlow]);
  state.SetLabel(label(traffic, policy));
}

}  // namespace

BENCHMARK(healthy)
    ->ArgNames({"traffic", "policy"})
    ->ArgsProduct({{0, 1, 2, 3, 4, 5}, {0, 1, 2}})
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(one_is_slow)
    ->ArgNames({"traffic", "policy", "slow_by", "detects"})
    ->ArgsProduct({{0, 1, 2, 3, 4, 5}, {0, 1, 2, 3}, {2, 4}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
