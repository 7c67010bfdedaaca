#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that serve many prompt tokens from their cache: the share, 0..1, that the engine itself reports.
/// It says how warm a cache is for the traffic at large; prefix-cache-scorer judges the one prompt.
class CacheHitScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kCacheHitRatio; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
