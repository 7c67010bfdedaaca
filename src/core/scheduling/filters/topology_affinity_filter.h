#pragma once

#include <utility>

#include "scheduling/topology.h"

namespace llmd::scheduling {

/// Keeps endpoints that share `least` or a nearer level with the endpoint of the other stage (prefill or decode) of the
/// same request. Keeps all while there is no such endpoint, nothing says where it runs, or no candidate is near enough:
/// nearness is a wish and must not make a request fail.
class TopologyAffinityFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  TopologyAffinityFilter(TopologyLevel least, TopologyLabels labels) noexcept
      : least_{least}, labels_{std::move(labels)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override { return labels_.place(endpoint); }
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  TopologyLevel least_;
  TopologyLabels labels_;
};

}  // namespace llmd::scheduling
