// links: llmd_flow llmd_scheduling llmd_model llmd_base
// Question: what does a request that passes flow control cost, while 100,000 wait in 10,000 flows? The number that
// matters: ns a dispatch, which must stay O(log n); llm-d dispatches one a millisecond. Baseline: 1,000,000 ns there.
// Estimate before measuring: two heaps of 13 levels and one hash look-up, all out of the cache: 1 us.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "flow/flow_controller.h"
#include "flow/saturation_gate.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

constexpr TimePoint kStart{std::chrono::hours{1}};

/// A controller with so many requests in so many flows, and what makes more of them.
class Scene {
 public:
  Scene(const std::string& fairness, std::size_t requests, std::size_t flows) {
    flow::FlowConfig config;
    config.ttl = std::chrono::hours{24};
    config.bands.push_back({.priority = 0, .bytes_max = 1'000'000'000'000, .requests_max = 10'000'000});
    config.bands[0].fairness = fairness;
    config.bands[0].ordering = "shortest-uncached-prefill-ordering-policy";
    controller_ = std::make_unique<flow::FlowController>(*flow::make_rules(config));
    for (std::size_t i = 0; i < flows; ++i) names_.push_back(fmt::format("tenant-{}", i));
    while (controller_->waiting() < requests) tickets_.push_back(add());
  }
  flow::Ticket add() {
    now_ += microseconds{1};
    const auto tokens = static_cast<std::uint32_t>(1 + rng_.below(8'000));
    return controller_
        ->enqueue({.id = next_++,
                   .fairness_id = names_[rng_.below(names_.size())],
                   .bytes = 4'000,
                   .prompt_tokens = tokens,
                   .uncached_tokens = tokens,
                   .received = now_},
                  now_)
        .value_or(flow::Ticket{});
  }
  [[nodiscard]] flow::FlowController& controller() noexcept { return *controller_; }
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  std::vector<flow::Ticket>& tickets() noexcept { return tickets_; }

 private:
  Rng rng_{7};
  std::unique_ptr<flow::FlowController> controller_;
  std::vector<std::string> names_;
  std::vector<flow::Ticket> tickets_;
  std::uint64_t next_ = 0;
  TimePoint now_ = kStart;
};

flow::GateReading room_for(int requests) {
  constexpr float kShare = 1.0F / 2'048;
  return {.saturation = 1 - kShare * static_cast<float>(requests), .per_request = kShare};
}

constexpr int kBatch = 256;

void BM_Enqueue(benchmark::State& state, const char* fairness) {
  Scene scene{fairness, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  std::vector<flow::Departure> out;
  for ([[maybe_unused]] auto step : state) {
    for (int i = 0; i < kBatch; ++i) benchmark::DoNotOptimize(scene.add());
    state.PauseTiming();
    out.clear();
    (void)scene.controller().step(room_for(kBatch), scene.now(), out);
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void BM_Step(benchmark::State& state, const char* fairness) {
  Scene scene{fairness, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  std::vector<flow::Departure> out;
  std::uint64_t dispatched = 0;
  for ([[maybe_unused]] auto step : state) {
    out.clear();
    dispatched += scene.controller().step(room_for(kBatch), scene.now(), out);
    state.PauseTiming();
    for (int i = 0; i < kBatch; ++i) benchmark::DoNotOptimize(scene.add());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(dispatched));
  state.counters["dispatches_a_step"] = static_cast<double>(dispatched) / static_cast<double>(state.iterations());
}

void BM_Cancel(benchmark::State& state, const char* fairness) {
  Scene scene{fairness, static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1))};
  Rng rng{3};
  for ([[maybe_unused]] auto step : state) {
    flow::Ticket& ticket = scene.tickets()[rng.below(scene.tickets().size())];
    benchmark::DoNotOptimize(scene.controller().cancel(ticket, scene.now()));
    ticket = scene.add();
  }
  state.SetItemsProcessed(state.iterations());
}

/// How full 1,000 endpoints are, with the default detector.
void BM_Gate(benchmark::State& state) {
  EndpointSnapshot snapshot;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    EndpointState endpoint;
    endpoint.endpoint = std::make_shared<const Endpoint>(
        Endpoint{.name = fmt::format("e{}", i), .url = "http://e", .models = {}, .labels = {}});
    endpoint.health = EndpointHealth::kReady;
    endpoint.waiting_requests = {static_cast<std::uint32_t>(i % 5), kStart};
    endpoint.kv_usage = {0.3F, kStart};
    snapshot.endpoints.push_back(std::move(endpoint));
  }
  const std::vector<scheduling::LiveLoad> live(snapshot.endpoints.size());
  auto gate = flow::SaturationGate::make({}, {});
  for ([[maybe_unused]] auto step : state) {
    benchmark::DoNotOptimize(gate->read({.snapshot = snapshot, .live = live, .undecided = 3, .now = kStart}));
  }
}

void policies(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({1'000, 100})->Args({100'000, 10'000})->ArgNames({"requests", "flows"});
}

#define LLMD_FLOW_BENCH(name)                                                             \
  BENCHMARK_CAPTURE(name, strict, "global-strict-fairness-policy")->Apply(policies);      \
  BENCHMARK_CAPTURE(name, round_robin, "round-robin-fairness-policy")->Apply(policies);   \
  BENCHMARK_CAPTURE(name, vtc, "virtual-token-counter-fairness-policy")->Apply(policies); \
  BENCHMARK_CAPTURE(name, program_aware, "program-aware-fairness")->Apply(policies)

LLMD_FLOW_BENCH(BM_Enqueue);
LLMD_FLOW_BENCH(BM_Step);
LLMD_FLOW_BENCH(BM_Cancel);
BENCHMARK(BM_Gate)->Arg(10)->Arg(1'000);

}  // namespace

BENCHMARK_MAIN();
