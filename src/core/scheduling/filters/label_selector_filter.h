#pragma once

#include <string>
#include <utility>
#include <vector>

#include "scheduling/filters/label_selector.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints whose labels match a Kubernetes label selector: all requirements hold. Without any, all are kept.
class LabelSelectorFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  static const PluginSpec kOldSpec;  // by-label-selector, its name before
  explicit LabelSelectorFilter(std::vector<LabelRequirement> requirements) : requirements_{std::move(requirements)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  std::vector<LabelRequirement> requirements_;
};

}  // namespace llmd::scheduling
