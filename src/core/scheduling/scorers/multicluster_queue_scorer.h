#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// queue-scorer for endpoints that are clusters: (most - waiting) / (most - least) by the mean queue that each cluster
/// tells as llm-d.ai/multicluster-queue-size, 1 if all are equal.
class MulticlusterQueueScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
