#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with few requests of ours in flight: 1 up to `idle_threshold`, above it (most - n) / most *
/// busy_score_max, where `most` is the largest number among the candidates. Live numbers, so never stale.
class ActiveRequestScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::uint32_t idle_threshold = 0;  // requests; up to it an endpoint counts as idle
    float busy_score_max = 1.0F;       // 0..1; lower: idle endpoints are preferred more strongly
  };
  explicit ActiveRequestScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kInflight; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
