#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that are near: half / (half + latency), where latency is the round trip from here in milliseconds.
/// The scale is absolute, so that differences far below `half_score_ms` hardly count.
class NetworkLatencyScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float half_score_ms = 10.0F;  // milliseconds; the round trip that scores 0.5
  };
  explicit NetworkLatencyScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kLatencyMs; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
