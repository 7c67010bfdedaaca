#pragma once

#include "scheduling/session_affinity.h"

namespace llmd::scheduling {

/// Keeps only the endpoint that the request's session is bound to (SessionAffinity). Keeps all without a session, and
/// while its endpoint is no candidate.
class SessionAffinityFilter final : public WithSessionAffinity<Filter> {
 public:
  static const PluginSpec kSpec;
  static const PluginSpec kMulticlusterSpec;
  using WithSessionAffinity::WithSessionAffinity;
  [[nodiscard]] std::size_t filter(const PluginInput& input,
                                   std::span<EndpointIndex> candidates) const noexcept override;
  [[nodiscard]] std::string reason(const PluginInput& input, EndpointIndex endpoint) const override;
};

}  // namespace llmd::scheduling
