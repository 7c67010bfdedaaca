// links: llmd_simulation llmd_scheduling llmd_model llmd_base
// Question: how many requests a second of real time does the twin simulate? The number that matters: requests/s at
// 1,000 endpoints, 512 tokens in and 64 out (wanted: a million in under 60 s, 16,700/s). Baseline: none of the peers
// has a twin. Estimate before measuring: 64 decode steps shared by the sequences of a batch, 60 ns a sequence and step,
// so 4 us; a decision among 1,000 endpoints 30 us with llm-d's default, 1 us at random; together 30,000/s.
#include "simulation/fleet.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/rng.h"
#include "simulation/policies/make_policy.h"
#include "simulation/summary.h"
#include "simulation/workload.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

constexpr std::uint32_t kBlockTokens = 64;

class UniformArrivals final : public simulation::Workload {
 public:
  UniformArrivals(std::uint64_t requests, double rate) : left_{requests}, rate_{rate} {}
  std::optional<simulation::SimRequest> next() override {
    if (left_ == 0) return std::nullopt;
    --left_;
    at_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-std::log1p(-rng_.uniform()) / rate_));
    simulation::SimRequest request{.id = id_++, .arrival = at_, .prompt_tokens = 512, .output_tokens = 64};
    for (std::uint32_t i = 0; i < 576 / kBlockTokens; ++i)
      request.blocks.push_back(simulation::chain_block(i == 0 ? 0 : request.blocks.back(), request.id));
    return request;
  }
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return kBlockTokens; }

 private:
  Rng rng_{5};
  std::uint64_t left_;
  std::uint64_t id_ = 0;
  double rate_;
  Duration at_{};
};

void BM_Fleet(benchmark::State& state, const char* name) {
  const auto endpoints = static_cast<std::uint32_t>(state.range(0));
  const auto requests = static_cast<std::uint64_t>(state.range(1));
  const simulation::FleetOptions options{.endpoints = endpoints};
  const double rate = 0.7 * endpoints / options.profile.busy_seconds(512, 64, 24);
  simulation::Summary summary;
  std::uint64_t steps = 0;
  for ([[maybe_unused]] auto step : state) {
    UniformArrivals workload{requests, rate};
    const auto policy = simulation::make_policy(name, 1);
    const simulation::FleetResult result = run_fleet(options, workload, *policy);
    summary = summarise(result, {});
    steps = result.steps;
  }
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(requests), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["ttft_p90_ms"] = summary.ttft_ms.p90;  // moves only if behaviour does
  state.counters["steps"] = static_cast<double>(steps);
}
BENCHMARK_CAPTURE(BM_Fleet, random, "random")->Args({1'000, 20'000})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Fleet, llm_d_default, "llm-d-default")->Args({1'000, 20'000})->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
