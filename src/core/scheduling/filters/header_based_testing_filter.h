#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// For conformance tests: keeps the endpoints that the request header test-epp-endpoint-selection lists, as "host" or
/// "host:port" with commas between; IPv6 with or without brackets. Without the header, or with a blank one, none is
/// kept. Entries beyond the 64th are not looked at.
class HeaderBasedTestingFilter final : public Filter {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
  void headers_read(std::vector<std::string>& names) const override;
};

}  // namespace llmd::scheduling
