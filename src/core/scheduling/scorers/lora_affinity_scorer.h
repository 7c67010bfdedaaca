#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that have the request's LoRA adapter loaded: 1 if it runs there, else 0.8 if there is room for one
/// more adapter, else 0.6 if it waits there to be loaded, else 0. The adapter is the model that the request names.
class LoraAffinityScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kLora; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
