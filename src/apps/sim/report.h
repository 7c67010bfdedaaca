#pragma once

#include <string>

#include "apps/sim/compare.h"

namespace llmd::sim {

/// A table for the terminal: a line a policy, best goodput first; half widths of 95 % intervals with several seeds.
[[nodiscard]] std::string table(const Comparison& comparison);
/// {"workload", "arrivals_per_s", "policies": [{"name", "goodput", "ttft_p90_ms", ...}]}: means over the seeds, each
/// with "<figure>_half_width". Equal runs give equal bytes.
[[nodiscard]] std::string json(const Comparison& comparison);
/// One page with the table and bars, without anything from elsewhere.
[[nodiscard]] std::string html(const Comparison& comparison);

}  // namespace llmd::sim
