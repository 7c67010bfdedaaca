#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints where few requests wait: 0.5 * (1 - min(waiting, threshold) / threshold). At most 0.5, so that an
/// affinity scorer beside it weighs more. Unlike queue-scorer it does not depend on the other candidates.
class LoadAwareScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  /// `threshold`: waiting requests from which on the score is 0. Pre: above 0.
  explicit LoadAwareScorer(float threshold) noexcept : threshold_{threshold} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kWaiting; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  float threshold_;
};

}  // namespace llmd::scheduling
