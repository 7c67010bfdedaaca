#pragma once

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Drops endpoints that serve other models only. Built in: runs before all others in every profile, under the name
/// "model-filter". An endpoint whose models are not known yet is kept, and all are if the request names none.
class ModelFilter final : public Filter {
 public:
  static constexpr std::string_view kName = "model-filter";
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
