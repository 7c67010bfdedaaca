#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// kv-cache-utilization-scorer for endpoints that are clusters: 1 - the mean KV use that the cluster tells as
/// llm-d.ai/multicluster-kv-cache-utilization.
class MulticlusterKvCacheUtilizationScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
