#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with few waiting requests: (most - waiting) / (most - least) among the candidates, 1 if all are
/// equal.
class QueueScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kWaiting; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
