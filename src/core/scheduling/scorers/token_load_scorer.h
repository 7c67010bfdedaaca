#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints with few tokens of ours in flight once this request is there: 1 - min(t, threshold) / threshold,
/// where t is the tokens in flight and those of this prompt that the endpoint has not cached. Live numbers, so never
/// stale.
class TokenLoadScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  /// `threshold_tokens`: from which on the score is 0. Pre: above 0.
  explicit TokenLoadScorer(double threshold_tokens) noexcept : threshold_tokens_{threshold_tokens} {}
  [[nodiscard]] MetricSet consumes() const noexcept override {
    return MetricSet{Metric::kInflight} | Metric::kPrefixMatch;
  }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  double threshold_tokens_;
};

}  // namespace llmd::scheduling
