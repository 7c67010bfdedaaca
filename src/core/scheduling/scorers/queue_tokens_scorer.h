#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with few prompt tokens to compute first: (most - n) / (most - least) among the candidates, 1 if
/// all are equal, where n is the larger of what the engine says waits there and what is in flight there from here. The
/// larger, not the sum: what the engine tells includes what we sent before it told, so a sum would count that twice.
/// With one router n is exact to the last request sent; with more it is what waited when the engine told, at least.
class QueueTokensScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] MetricSet consumes() const noexcept override { return MetricSet{Metric::kSignal} | Metric::kInflight; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kQueuedTokens; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
