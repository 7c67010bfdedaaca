#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints that probably hold the prompt's beginning, the more the hotter it is: r * h / (h + `warm_uses`),
/// where r is the share of the prompt's blocks that match and h the recent uses of its known beginning (PrefixHeat). Of
/// a beginning that is hardly used the copies are not worth a detour; those of a hot one are worth keeping in use.
class CacheHeatScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  explicit CacheHeatScorer(float warm_uses) noexcept : warm_uses_{warm_uses} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return Metric::kPrefixMatch; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  float warm_uses_;
};

}  // namespace llmd::scheduling
