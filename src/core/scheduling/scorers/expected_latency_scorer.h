#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers the endpoint where the request costs least: its own predicted latencies held against what it hopes for, the
/// chance to miss them, and what it takes from others there: the tokens that wait while its prompt is computed, and
/// what one more sequence adds to each of theirs. The cheapest endpoint scores 1, another its cost's ratio to that.
///
/// The model learns while it serves (LatencyPredictor). An endpoint of a class that has too few observations has no
/// score, so the other scorers of the profile decide: give this one a weight beyond theirs together.
class ExpectedLatencyScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    double ttft_objective_ms = 2'000;  // of requests that bring none
    double tpot_objective_ms = 50;
    double miss_weight = 1;  // of the chance to miss an objective, beside latencies in objectives
    double harm_weight = 1;  // of what others lose
  };
  explicit ExpectedLatencyScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override {
    return MetricSet{Metric::kPrediction} | Metric::kInflight | Metric::kPrefixMatch | Metric::kWaiting;
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
