#pragma once

#include <string>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints whose label has one of the values, and, if `allows_no_label`, those without it. As in llm-d, an
/// empty text among the values also stands for an absent label.
class ByLabel final : public Filter {
 public:
  static const PluginSpec kSpec;
  struct Options {
    std::string label;
    std::vector<std::string> values;
    bool allows_no_label = false;
  };
  explicit ByLabel(Options options) : options_{std::move(options)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  Options options_;
};

}  // namespace llmd::scheduling
