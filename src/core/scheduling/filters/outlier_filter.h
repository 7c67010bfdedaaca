#pragma once

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Keeps part of the traffic from endpoints that stand out from their peers, as EndpointState::traffic says; which
/// requests those are is drawn by request and endpoint. Built in: runs last in every profile, under the name
/// "outlier-filter", so that it knows who else could serve: where it would leave nobody, it drops nobody.
class OutlierFilter final : public Filter {
 public:
  static constexpr std::string_view kName = "outlier-filter";
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
