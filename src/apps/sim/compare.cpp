#include "apps/sim/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "simulation/to_duration.h"
#include "simulation/workloads/scaled_arrivals.h"

namespace llmd::sim {
namespace {

using simulation::SimRequest;

constexpr double kSpanMaxS = 1e8;  // three years
constexpr double kArrivalsTolerance = 0.1;

std::uint64_t turns_of(const SimRequest& first, const simulation::HardwareProfile& profile, double& busy_s) {
  std::uint64_t turns = 0;
  for (const SimRequest* turn = &first; turn != nullptr; turn = turn->next_turn.get()) {
    ++turns;
    const std::uint32_t output = profile.output_tokens_of(turn->prompt_tokens, turn->output_tokens);
    // Engines that are always busy have all slots taken: so many sequences share a step's fixed cost.
    const std::uint32_t batch = profile.slots_for(turn->prompt_tokens + output);
    busy_s += profile.busy_seconds(turn->prompt_tokens, output, std::max(1U, batch));
  }
  return turns;
}

/// How often decisions took how long, in buckets that are a tenth wide: from 10 ns to a second.
class DecisionTimes {
 public:
  void add(Duration time) noexcept {
    const double place = std::log(std::max(1.0, to_seconds(time) / kFirstS)) / std::log(kGrowth);
    ++counts_[std::min(counts_.size() - 1, static_cast<std::size_t>(place))];
  }
  void add(const DecisionTimes& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  [[nodiscard]] double p99_us() const noexcept {
    const auto all = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      below += counts_[i];
      if (below * 100 >= all * 99) return kFirstS * 1e6 * std::pow(kGrowth, static_cast<double>(i + 1));
    }
    return 0;
  }

 private:
  static constexpr double kFirstS = 1e-8;
  static constexpr double kGrowth = 1.1;
  std::array<std::uint64_t, 194> counts_{};
};

/// Another policy, and how long it took to choose.
class TimedPolicy final : public simulation::Policy {
 public:
  explicit TimedPolicy(std::unique_ptr<simulation::Policy> policy) noexcept : policy_{std::move(policy)} {}

  simulation::PolicyChoice choose(const simulation::PolicyInput& input) override {
    const TimePoint began = SteadyClock::now();
    const simulation::PolicyChoice choice = policy_->choose(input);
    const Duration took = SteadyClock::now() - began;
    choosing_ += took;
    times_.add(took);
    return choice;
  }
  [[nodiscard]] std::uint32_t cached_tokens(const simulation::PolicyInput& input) override {
    return policy_->cached_tokens(input);
  }
  void sent(const simulation::PolicyInput& input, const simulation::PolicyChoice& choice) override {
    policy_->sent(input, choice);
  }
  void finished(const simulation::PolicyOutcome& outcome, TimePoint now) override { policy_->finished(outcome, now); }
  void block_stored(std::uint32_t endpoint, std::uint64_t block) override { policy_->block_stored(endpoint, block); }
  void block_removed(std::uint32_t endpoint, std::uint64_t block) override { policy_->block_removed(endpoint, block); }
  void endpoint_lost(std::uint32_t endpoint) override { policy_->endpoint_lost(endpoint); }
  [[nodiscard]] bool heeds_shares() const noexcept override { return policy_->heeds_shares(); }
  [[nodiscard]] bool wants_block_events() const noexcept override { return policy_->wants_block_events(); }

  [[nodiscard]] double choosing_s() const { return to_seconds(choosing_); }
  [[nodiscard]] const DecisionTimes& times() const noexcept { return times_; }

 private:
  std::unique_ptr<simulation::Policy> policy_;
  Duration choosing_{};
  DecisionTimes times_;
};

/// What a run of the workload asks of engines.
struct Demand {
  std::uint64_t requests = 0;  // all turns
  double span_s = 0;           // of the first turns' arrivals
  double busy_s = 0;           // engine time without any cache
};

/// One seed: every policy on the same requests.
Result<void> run_seed(const NamedWorkload& workload, const std::vector<NamedPolicy>& policies,
                      const CompareOptions& options, const LoadPlan& plan,
                      const std::function<void(std::string_view)>& progress, std::vector<DecisionTimes>& times,
                      Comparison& comparison) {
  for (std::size_t p = 0; p < policies.size(); ++p) {
    if (progress) progress(fmt::format("{} on {}, seed {}", policies[p].name, workload.name, plan.fleet.seed));
    simulation::ScaledArrivals scaled{workload.make(plan.fleet.seed), plan.factor};
    TimedPolicy policy{policies[p].make(plan.fleet.seed)};
    const auto flow = policies[p].make_flow ? policies[p].make_flow() : nullptr;
    const simulation::FleetResult result = run_fleet(plan.fleet, scaled, policy, flow.get());
    const simulation::Summary summary = summarise(result, options.objectives);
    if (summary.requests == 0) {
      return fail(ErrorCode::kInvalidRequest,
                  fmt::format("no request of workload {} comes in the measured time", workload.name),
                  "take more --requests, or less --warm-up");
    }
    PolicyResult& into = comparison.policies[p];
    into.runs.push_back(summary);
    into.decisions += result.decisions;
    into.deciding_s += policy.choosing_s();
    times[p].add(policy.times());
    into.decision_p99_us = times[p].p99_us();
  }
  return {};
}

Demand demand_of(simulation::Workload& workload, const simulation::HardwareProfile& profile,
                 std::uint64_t requests_max) {
  Demand demand;
  std::uint64_t sessions = 0;
  while (requests_max == 0 || sessions < requests_max) {
    const auto first = workload.next();
    if (!first) break;
    ++sessions;
    demand.span_s = to_seconds(first->arrival);
    demand.requests += turns_of(*first, profile, demand.busy_s);
  }
  return demand;
}

/// Steps that always busy endpoints make at once, in those of one that is alone.
double busy_at_once(const simulation::FleetOptions& fleet) {
  if (fleet.cores == 0) return fleet.endpoints;
  const double cores = std::min(fleet.endpoints, fleet.cores);
  const double sharing = fleet.endpoints > fleet.cores ? 1 + fleet.profile.sharing_slowdown : 1;
  return cores / (sharing * (1 + fleet.profile.neighbour_slowdown * (cores - 1)));
}

}  // namespace

Result<LoadPlan> plan_load(const NamedWorkload& workload, const CompareOptions& options, std::uint64_t seed) {
  simulation::FleetOptions fleet = options.fleet;
  fleet.seed = seed;
  const auto measured = workload.make(seed);
  const Demand demand = demand_of(*measured, fleet.profile, fleet.requests_max);
  if (demand.requests == 0 || demand.span_s <= 0)
    return fail(ErrorCode::kInvalidRequest, fmt::format("workload {} has no requests over time", workload.name));
  const double capacity = busy_at_once(fleet) / (demand.busy_s / static_cast<double>(demand.requests));
  const bool as_recorded = options.load == 0;
  if (as_recorded && !workload.same_for_each_seed)
    return fail(ErrorCode::kInvalidRequest,
                fmt::format("workload {} was not recorded: --load must be above 0", workload.name));
  const double arrivals = as_recorded ? static_cast<double>(demand.requests) / demand.span_s : options.load * capacity;
  const double span_s = static_cast<double>(demand.requests) / arrivals;
  if (span_s > kSpanMaxS) {
    return fail(ErrorCode::kInvalidRequest,
                fmt::format("at this load the requests come over {:.0f} days", span_s / 86'400),
                "take fewer --requests, or more --load");
  }
  fleet.measure_from = simulation::to_duration(options.warm_up * span_s);
  fleet.measure_until = simulation::to_duration(span_s);
  fleet.duration_max += fleet.measure_until;
  return LoadPlan{.fleet = std::move(fleet), .factor = span_s / demand.span_s, .arrivals_per_s = arrivals};
}

Result<Comparison> compare(const NamedWorkload& workload, const std::vector<NamedPolicy>& policies,
                           const CompareOptions& options, const std::function<void(std::string_view)>& progress) {
  Comparison comparison{.workload = workload.name,
                        .load = options.load,
                        .same_for_each_seed = workload.same_for_each_seed,
                        .policies = {}};
  std::vector<DecisionTimes> times(policies.size());
  for (const NamedPolicy& policy : policies) comparison.policies.push_back({.name = policy.name, .runs = {}});
  for (std::uint32_t repetition = 0; repetition < options.seeds; ++repetition) {
    const std::uint64_t seed = options.fleet.seed + repetition;
    if (progress) progress(fmt::format("reading {}, seed {}", workload.name, seed));
    LLMD_TRY(const LoadPlan plan, plan_load(workload, options, seed));
    comparison.arrivals_per_s += plan.arrivals_per_s / options.seeds;
    LLMD_TRY_VOID(run_seed(workload, policies, options, plan, progress, times, comparison));
  }
  return comparison;
}

std::string caution(const Comparison& comparison) {
  double came = 0;
  double runs = 0;
  for (const PolicyResult& policy : comparison.policies) {
    for (const simulation::Summary& run : policy.runs) came += run.arrivals_rps;
    runs += static_cast<double>(policy.runs.size());
  }
  if (runs == 0 || came / runs >= (1 - kArrivalsTolerance) * comparison.arrivals_per_s) return {};
  return fmt::format(
      "only {:.2f} of {:.2f} requests/s came while it was measured: sessions last long beside the time simulated, or "
      "failed; take more --requests",
      came / runs, comparison.arrivals_per_s);
}

}  // namespace llmd::sim
