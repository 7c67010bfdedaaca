#pragma once

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Drops endpoints that are down or draining, and one on trial that already has a request. Built in: runs first in
/// every profile, under the name "health-filter". An endpoint not heard of yet is kept, so that missing data never
/// halts dispatch.
class HealthFilter final : public Filter {
 public:
  static constexpr std::string_view kName = "health-filter";
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
