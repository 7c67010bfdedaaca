#pragma once

#include "scheduling/plugin_spec.h"
#include "scheduling/prediction/expected_cost.h"

namespace llmd::scheduling {

/// Prefers the endpoint where the request costs least (ExpectedCost). The cheapest endpoint scores 1, another its
/// cost's ratio to that. In the decode profile of a pair decider an endpoint costs what is less: that it computes the
/// prompt, or that the cheapest of the prefill endpoints does; links are compared by the decider.
///
/// The model learns while it serves (LatencyPredictor). An endpoint of a class that has too few observations has no
/// score, so the other scorers of the profile decide: give this one a weight beyond theirs together.
class ExpectedLatencyScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  explicit ExpectedLatencyScorer(CostOptions options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override {
    return MetricSet{Metric::kPrediction} | Metric::kInflight | Metric::kPrefixMatch | Metric::kWaiting;
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  CostOptions options_;
};

}  // namespace llmd::scheduling
