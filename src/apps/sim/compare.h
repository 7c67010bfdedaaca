#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "simulation/fleet.h"
#include "simulation/policy.h"
#include "simulation/summary.h"
#include "simulation/workload.h"

namespace llmd::sim {

/// A policy under its name; made anew for each run.
struct NamedPolicy {
  std::string name;
  std::function<std::unique_ptr<simulation::Policy>(std::uint64_t seed)> make;
  std::function<std::unique_ptr<simulation::FlowControl>()> make_flow{};  // in front of it; empty: nothing waits there
  bool needs_record = false;  // it repeats what the workload says of its endpoints
};

/// A workload under its name; made anew for each run, so that all policies see the same requests.
struct NamedWorkload {
  std::string name;
  std::function<std::unique_ptr<simulation::Workload>(std::uint64_t seed)> make;
  bool same_for_each_seed = false;
  std::size_t endpoints_named = 0;  // that its requests were sent to; 0: it does not tell
};

struct CompareOptions {
  simulation::FleetOptions fleet{};
  /// 1: the arrivals at which endpoints without any cache would be always busy. 0: as they were recorded.
  double load = 0.7;
  std::uint32_t seeds = 1;  // repetitions
  double warm_up = 0.5;     // share of the time that only fills caches and brings sessions under way
  simulation::DefaultObjectives objectives{};
};

/// One policy's figures: a summary a seed.
struct PolicyResult {
  std::string name;
  std::vector<simulation::Summary> runs;
  std::uint64_t decisions = 0;
  // On this machine, of all runs.
  double deciding_s = 0;
  double decision_p99_us = 0;  // within a tenth
};

struct Comparison {
  std::string workload;
  double load = 0;
  double arrivals_per_s = 0;        // at the load asked for; mean over the seeds
  bool same_for_each_seed = false;  // a trace: intervals tell of the policies' own chance alone
  std::vector<PolicyResult> policies;
};

/// How to run a workload at the load that is asked for.
struct LoadPlan {
  simulation::FleetOptions fleet{};  // with seed and measured window
  double factor = 1;                 // by which arrivals of first turns are stretched
  double arrivals_per_s = 0;
};

/// Reads the workload once to see what it asks of engines. Errors: those of compare().
[[nodiscard]] Result<LoadPlan> plan_load(const NamedWorkload& workload, const CompareOptions& options,
                                         std::uint64_t seed);

/// Runs each policy on the same requests. `progress` (may be null) hears of each run before it starts. Error
/// kInvalidRequest: the workload is empty, all arrives at once or over years, or nothing comes in the measured time.
[[nodiscard]] Result<Comparison> compare(const NamedWorkload& workload, const std::vector<NamedPolicy>& policies,
                                         const CompareOptions& options,
                                         const std::function<void(std::string_view)>& progress);

/// What a reader of the figures must know; empty: nothing. Today: far fewer requests came than at the load asked for,
/// because sessions last longer than the time that was simulated.
[[nodiscard]] std::string caution(const Comparison& comparison);

}  // namespace llmd::sim
