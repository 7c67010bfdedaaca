#pragma once

#include <span>
#include <string>
#include <utility>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefers endpoints near this router, by the labels topology.kubernetes.io/zone and topology.kubernetes.io/region: 1
/// in the router's zone, `region_score` in another zone of its region, 0 elsewhere. Two zones are not the same if their
/// regions are known to differ. No data where the labels do not tell: neither is there, or those that are there have
/// nothing to be compared with.
class ZoneScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string zone;           // where this router runs; empty: not known
    std::string region;         // the same
    float region_score = 0.5F;  // 0..1
  };
  explicit ZoneScorer(Options options) noexcept : options_{std::move(options)} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
