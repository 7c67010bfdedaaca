#pragma once

#include <string>
#include <vector>

#include "apps/sim/compare.h"

namespace llmd::sim {

/// A table for the terminal: a line a policy, best goodput first; half widths of 95 % intervals with several seeds.
[[nodiscard]] std::string table(const Comparison& comparison);
/// {"workload", "load", "arrivals_per_s", "policies": [{"name", "goodput", "ttft_p90_ms", ...}]}: means over the seeds,
/// each with "<figure>_half_width"; with several loads {"comparisons": [such, ...]}. Equal runs give equal bytes.
[[nodiscard]] std::string json(const std::vector<Comparison>& comparisons);
/// One page, a comparison a load, with lines over the load if there are several, without anything from elsewhere.
[[nodiscard]] std::string html(const std::vector<Comparison>& comparisons);

}  // namespace llmd::sim
