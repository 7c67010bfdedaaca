// links: llmd_routing llmd_scheduling llmd_prefix llmd_model
// Question: what does a decision's explanation cost, with its place in the ring and its outcome? The number that
// matters: `sampled` less `none`, wanted below 2 us at the default rate of full explanations and 1,000 decisions a
// second. Baseline: before there were brief ones, each decision paid what `full` does and more. Estimate before
// measuring: brief 8 allocations, a lock and a look-up = 0.6 us; full 64 endpoints x (endpoint, total, prediction,
// parts) = 3 us, and 3 us to find the best 64 of 1,000.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/budget.h"
#include "base/rng.h"
#include "model/endpoint.h"
#include "prefix/prefix_index.h"
#include "routing/explanation_ring.h"
#include "routing/rate_limit.h"
#include "routing/router.h"
#include "scheduling/scheduler.h"

namespace {

using namespace llmd;  // NOLINT(google-build-using-namespace): a program of one file

enum Mode : std::uint8_t { kNone, kBrief, kFull, kSampled };
constexpr std::array<const char*, 4> kModeNames{"none", "brief", "full", "sampled"};

EndpointSnapshot make_snapshot(std::size_t count, TimePoint now) {
  Rng rng{1};
  EndpointSnapshot snapshot{.version = 1, .taken_at = now, .endpoints = std::vector<EndpointState>(count)};
  for (std::size_t i = 0; i < count; ++i) {
    EndpointState& state = snapshot.endpoints[i];
    state.endpoint = std::make_shared<Endpoint>(
        Endpoint{.name = fmt::format("default/pool-{:05}", i), .url = {}, .models = {{.id = "m"}}, .labels = {}});
    // Every tenth is filtered, with a reason.
    state.health = i % 10 == 9 ? EndpointHealth::kDown : EndpointHealth::kReady;
    state.waiting_requests = {static_cast<std::uint32_t>(rng.below(20)), now};
    state.running_requests = {static_cast<std::uint32_t>(rng.below(60)), now};
    state.kv_usage = {static_cast<float>(rng.uniform()), now};
    state.inflight_requests = static_cast<std::uint32_t>(rng.below(70));
  }
  return snapshot;
}

/// As routing::Router does it for each request.
class Keeper {
 public:
  explicit Keeper(Mode mode) : mode_{mode} {}

  void decide(const scheduling::Scheduler& scheduler, const scheduling::DecisionInput& input) {
    now_ += milliseconds{1};
    if (mode_ == kNone) {
      benchmark::DoNotOptimize(scheduler.decide(input, rng_, scratch_, nullptr));
      return;
    }
    routing::RequestRecord record;
    record.explanation.brief = mode_ == kBrief || (mode_ == kSampled && !limit_.take(now_));
    const Decision decision = scheduler.decide(input, rng_, scratch_, &record.explanation);
    record.chosen = decision.decode;
    const auto shelf = record.explanation.brief ? routing::Shelf::kBrief : routing::Shelf::kFull;
    full_ += record.explanation.brief ? 0 : 1;
    (void)ring_.put(std::move(record), shelf);
    outcome_.request_id = input.request.request_id;
    outcome_.endpoint = decision.decode->name;
    ring_.finish(outcome_, false);
  }
  [[nodiscard]] double full() const { return static_cast<double>(full_); }

 private:
  Mode mode_;
  TimePoint now_{std::chrono::hours{1}};
  routing::RouterOptions options_;
  Budget explained_{"explanations", options_.explained_bytes_max};
  Budget brief_{"explanations-brief", options_.brief_bytes_max};
  Budget failed_{"explanations-failed", options_.failed_bytes_max};
  Budget refused_{"explanations-refused", options_.refused_bytes_max};
  routing::ExplanationRing ring_{{{{65'536, explained_}, {65'536, brief_}, {65'536, failed_}, {65'536, refused_}}}};
  routing::RateLimit limit_{options_.explained_per_second};
  Rng rng_{3};
  scheduling::DecisionScratch scratch_;
  Outcome outcome_{.status = 200};
  std::uint64_t full_ = 0;
};

void BM_Explain(benchmark::State& state) {
  const TimePoint now{std::chrono::hours{1}};
  const EndpointSnapshot snapshot = make_snapshot(static_cast<std::size_t>(state.range(0)), now);
  Budget budget{"prefix", std::size_t{1} << 20};
  const PrefixIndex index{{}, budget};
  scheduling::SchedulingConfig config;
  if (state.range(1) == 10) {
    for (const char* type : {"queue-scorer", "kv-cache-utilization-scorer", "prefix-cache-scorer",
                             "running-requests-size-scorer", "active-request-scorer", "token-load-scorer",
                             "error-rate-scorer", "network-latency-scorer", "cold-start-scorer", "cache-hit-scorer"})
      config.plugins.push_back({.type = type});
  }
  const auto scheduler = scheduling::Scheduler::make(std::move(config));
  const auto mode = static_cast<Mode>(state.range(2));
  state.SetLabel(kModeNames[mode]);
  Keeper keeper{mode};
  RequestFacts request{.model = "m", .prompt_tokens = 1'000};
  Rng rng{2};
  for ([[maybe_unused]] auto step : state) {
    request.request_id = fmt::format("{:016x}-{:016x}", rng.next(), rng.next());  // as long as a UUID
    keeper.decide(*scheduler, {.request = request, .snapshot = snapshot, .index = index, .now = now});
  }
  state.counters["full_share"] = keeper.full() / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Explain)
    ->ArgNames({"endpoints", "scorers", "mode"})
    ->ArgsProduct({{10, 100, 1'000}, {3, 10}, {kNone, kBrief, kFull, kSampled}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
