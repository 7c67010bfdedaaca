#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "simulation/fleet.h"

namespace llmd::simulation {

/// Three points of a distribution, by nearest rank.
struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
};

/// Shares at which a whole distribution is told: 1 %, 5 %, 10 %, …, 95 %, 99 %.
inline constexpr std::size_t kQuantiles = 21;
[[nodiscard]] constexpr double quantile_share(std::size_t i) noexcept {
  return i == 0 ? 0.01 : i + 1 == kQuantiles ? 0.99 : 0.05 * static_cast<double>(i);
}

/// Objectives of requests that bring none of their own.
struct DefaultObjectives {
  float ttft_ms = 2'000;
  float tpot_ms = 50;
};

/// What a fleet did, in the figures that the field compares.
struct Summary {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
  Percentiles ttft_ms;  // of those that did not fail
  std::array<double, kQuantiles> ttft_quantiles_ms{};
  Percentiles tpot_ms;  // of those with two tokens and more
  Percentiles total_ms;
  double goodput = 0;         // share of all requests that met both objectives
  double goodput_rps = 0;     // the same, a second
  double arrivals_rps = 0;    // requests that came, a second
  double tokens_per_s = 0;    // output tokens of requests that ended within the measured time
  double hit_rate = 0;        // prompt tokens that were cached
  double busy_mean = 0;       // share of the measured time that endpoints computed
  double busy_variation = 0;  // standard deviation of busy time over the endpoints, by its mean
  double load_variation = 0;  // the same of the mean requests in them
  double fairness = 1;        // Jain's index of goodput over tenants; 1 with one tenant
  // Against the oracle; 0 without.
  std::uint64_t oracle_decisions = 0;
  double best_instance = 0;  // share of choices that were the best, or nearly so
  double regret_ms = 0;      // mean TTFT of a choice beyond the least
};

[[nodiscard]] Summary summarise(const FleetResult& result, const DefaultObjectives& objectives);

/// Mean and half width of its 95 % confidence interval (Student's t) over repetitions.
struct Estimate {
  double mean = 0;
  double half_width = 0;  // 0 with one value
};
[[nodiscard]] Estimate estimate(std::span<const double> values);

}  // namespace llmd::simulation
