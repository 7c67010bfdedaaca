#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "simulation/workload.h"
#include "simulation/workloads/arrivals.h"
#include "simulation/workloads/draws.h"
#include "simulation/workloads/generator.h"

namespace llmd::simulation {

struct SharedPrefixOptions {
  GeneratorOptions common{};
  std::uint32_t prefixes = 12;
  double prefixes_zipf = 0.8;  // exponent of how often each is used
  LogNormal prefix_tokens{.median = 6'000, .sigma = 0.4, .min = 2'000, .max = 16'000};
  LogNormal question_tokens{.median = 120, .sigma = 0.8, .min = 8, .max = 2'000};
  LogNormal answer_tokens{.median = 150, .sigma = 0.8, .min = 8, .max = 1'000};
  /// The share of requests that come in bursts, each over a new prefix. 0 to 0.95; 0: no bursts.
  double burst_share = 0.2;
  std::uint32_t burst_requests = 60;  // in one burst, at least 1
  /// How many times faster than the mean rate they follow each other, at least 1. Bursts know no time of day.
  double burst_speed = 5;
};

/// Single requests over a few long system prompts. Now and then a new prompt appears with a burst of requests; then it
/// takes the place of another, so that the set moves.
class SharedPrefixWorkload final : public Workload {
 public:
  explicit SharedPrefixWorkload(const SharedPrefixOptions& options);
  [[nodiscard]] std::optional<SimRequest> next() override;
  [[nodiscard]] std::uint32_t block_tokens() const noexcept override { return generator_.block_tokens(); }

 private:
  /// The burst under way, or the next one while it has not begun.
  struct Burst {
    Text prefix{};
    std::uint32_t left = 0;  // requests
    double next_s = 0;       // when its next one comes
  };

  void plan_burst(double now_s);
  [[nodiscard]] Text take_from_burst();

  SharedPrefixOptions options_;  // in range
  Generator generator_;
  ArrivalProcess steady_;
  Rng burst_rng_;
  ZipfDraw which_;
  std::vector<Text> prefixes_;
  Duration steady_next_{};
  std::optional<Burst> burst_;  // none: bursts have no share
};

}  // namespace llmd::simulation
