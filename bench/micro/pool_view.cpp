// links: llmd_pool llmd_model
// Question: what does a decision pay for a view of the pool in which endpoints have changed since the last one? The
// number that matters: us at 1,000 endpoints and 17 changes (each is looked at once a second, 60 requests a second).
// Baseline: a copy of all, as `changed` = all endpoints shows. Estimate before measuring: 1,000 marks 1 us, 17 x 2
// buffers x 0.15 us = 5 us; a copy 1,000 x 0.15 us = 150 us.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "pool/pool.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

pool::Probe probe_of(std::uint32_t number) {
  pool::Probe probe;
  probe.readiness = pool::Probe::Readiness::kReady;
  probe.readings = pool::EngineReadings{};
  probe.readings->waiting_requests = number % 7;
  probe.readings->running_requests = number % 11;
  probe.readings->kv_usage = 0.01F * static_cast<float>(number % 100);
  probe.round_trip = microseconds{100 + number % 10};
  return probe;
}

void BM_PoolView(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto changed = static_cast<std::size_t>(state.range(1));
  ManualClock clock;
  pool::Pool pool{{.publish_interval = milliseconds{0}}};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(fmt::format("http://127.0.0.1:{}", 10'000 + i));
    pool.put({.name = names.back(), .url = names.back(), .labels = {}}, clock.now());
    pool.on_probe(names.back(), probe_of(static_cast<std::uint32_t>(i)), clock.now());
  }
  std::uint32_t probes = 0;
  std::uint64_t waiting = 0;
  for ([[maybe_unused]] auto step : state) {
    state.PauseTiming();
    clock.advance(milliseconds{1});
    for (std::size_t i = 0; i < changed; ++i) {
      ++probes;
      pool.on_probe(names[probes % count], probe_of(probes), clock.now());
    }
    state.ResumeTiming();
    const auto view = pool.view(clock.now());
    benchmark::DoNotOptimize(view.get());
    waiting += view->snapshot.endpoints[probes % count].waiting_requests.value.value_or(0);
  }
  state.counters["waiting"] = static_cast<double>(waiting) / static_cast<double>(state.iterations());  // behaviour
}
BENCHMARK(BM_PoolView)
    ->ArgNames({"endpoints", "changed"})
    ->Args({10, 1})
    ->Args({1'000, 1})
    ->Args({1'000, 17})
    ->Args({1'000, 1'000})
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
