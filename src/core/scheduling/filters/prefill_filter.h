#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints that prefill: label llm-d.ai/role is prefill, encode-prefill, prefill-decode, both or
/// encode-prefill-decode. An endpoint without the label is dropped.
class PrefillFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
