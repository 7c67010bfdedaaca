#pragma once

#include <optional>
#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that are reached without loss: half / (half + loss), where loss is the share, 0..1, of packets
/// lost on the way from here. Retries make even a few percent costly, so the scale is far finer than 1 - loss.
class NetworkLossScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    float half_score_loss = 0.01F;  // share of packets; the loss that scores 0.5
  };
  explicit NetworkLossScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kSignal; }
  [[nodiscard]] std::optional<Signal> signal() const noexcept override { return Signal::kPacketLoss; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
