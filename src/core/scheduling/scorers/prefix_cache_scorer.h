#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that probably hold the prompt's beginning: w * L + (1 - w) * r, where r is the share of the
/// prompt's blocks that match, L the square of the matched length in units of `length_scale_tokens` (at most 1), and w
/// `length_weight`. 0 for a prompt without blocks.
class PrefixCacheScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  static const PluginSpec kMulticlusterSpec;  // the same for endpoints that are clusters
  struct Options {
    float length_weight = 0.0F;            // 0..1; higher: long matches count more than complete ones
    float length_scale_tokens = 8'192.0F;  // the length at which L reaches 1
  };
  explicit PrefixCacheScorer(Options options) noexcept : options_{options} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kPrefixMatch; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
