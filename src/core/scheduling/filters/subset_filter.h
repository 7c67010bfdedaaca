#pragma once

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// Keeps the endpoints that the caller allows, as PluginInput::eligible says: the subset that a proxy's route names
/// (Gateway API Inference Extension, endpoint picker protocol). Built in: runs in every profile behind the model
/// filter, under the name "subset-filter".
class SubsetFilter final : public Filter {
 public:
  static constexpr std::string_view kName = "subset-filter";
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
