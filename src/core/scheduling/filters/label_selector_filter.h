#pragma once

#include <string>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints whose labels match a Kubernetes label selector: all requirements hold. Without any, all are kept.
class LabelSelectorFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  static const PluginSpec kOldSpec;  // by-label-selector, its name before
  enum class Operator : std::uint8_t {
    kIn,            // the label is there and has one of the values
    kNotIn,         // it has none of them; an absent label has none
    kExists,        // it is there
    kDoesNotExist,  // it is not
  };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values{};
  };
  explicit LabelSelectorFilter(std::vector<Requirement> requirements) : requirements_{std::move(requirements)} {}
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;

 private:
  std::vector<Requirement> requirements_;
};

}  // namespace llmd::scheduling
