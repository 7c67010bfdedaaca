#pragma once

#include <utility>

#include "scheduling/topology.h"

namespace llmd::scheduling {

/// Prefers endpoints that are near the endpoint of the other stage (prefill or decode) of the same request: 1 on the
/// same host, 0.2 in the same rack, 0.05 in the same zone, 0.02 in the same region, else 0. 0 for all while there is no
/// such endpoint, or nothing says where it runs.
class TopologyAffinityScorer final : public Scorer {
 public:
  static const PluginSpec kSpec;
  explicit TopologyAffinityScorer(TopologyLabels labels) noexcept : labels_{std::move(labels)} {}
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override { return labels_.place(endpoint); }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;

 private:
  TopologyLabels labels_;
};

}  // namespace llmd::scheduling
