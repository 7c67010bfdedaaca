#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with free KV cache: 1 - used share.
class KvCacheUtilizationScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kKvUsage; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
