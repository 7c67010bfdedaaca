#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with a wide path from here: bandwidth / (half + bandwidth), in megabytes a second.
class NetworkBandwidthScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float half_score = 1000.0F;  // megabytes a second; the bandwidth that scores 0.5
  };
  explicit NetworkBandwidthScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kBandwidthMbps; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
