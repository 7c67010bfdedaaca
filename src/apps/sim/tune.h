#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "apps/sim/compare.h"
#include "base/error.h"
#include "scheduling/config.h"

namespace llmd::sim {

struct TuneOptions {
  CompareOptions compare{};
  std::uint32_t trials_max = 60;  // weights tried; each is one run a seed
};

struct Tuned {
  scheduling::SchedulingConfig config;  // the best found; the given one if none is better
  std::uint32_t trials = 0;
  double goodput_before = 0;  // on the requests that were searched on
  double goodput = 0;
};

/// Searches the weights of the configuration's scorers that are above 0 and not alone in their profile. Half of the
/// trials draw all weights anew, because the neighbours of bad weights are often as bad; from the best of them on, one
/// weight after the other is made larger and smaller by a factor, the better is kept, and when none is better the
/// factor shrinks (Hooke, Jeeves 1961, on logarithms). Best is the highest goodput, among equals the fewest failures,
/// then the lowest TTFT p90. Only sessions that begin in the first half of the workload's time are looked at, so
/// compare() with a warm-up of a half or more measures others (but for later turns of such sessions). Deterministic.
/// Errors: those of compare(), kInvalidRequest if there are no such weights.
[[nodiscard]] Result<Tuned> tune(const scheduling::SchedulingConfig& config, const NamedWorkload& workload,
                                 const TuneOptions& options, const std::function<void(std::string_view)>& progress);

}  // namespace llmd::sim
