#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Keeps endpoints that encode media: label llm-d.ai/role encode, encode-prefill or encode-prefill-decode. Without the
/// label an endpoint encodes nothing.
class EncodeFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] bool has_fixed_value() const noexcept override { return true; }
  [[nodiscard]] FixedValue fixed_value(const Endpoint& endpoint) const override;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
