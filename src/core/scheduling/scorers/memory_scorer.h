#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints whose memory is idle: 1 - use, where use is the share, 0..1, of the memory that the engine
/// computes with.
class MemoryScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kMemoryUse; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
