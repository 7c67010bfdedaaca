#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with few running requests: (most - running) / (most - least) among the candidates, 1 if all are
/// equal.
class RunningRequestsSizeScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kRunning; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
