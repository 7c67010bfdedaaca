#pragma once

#include "scheduling/session_affinity.h"

namespace llmd::scheduling {

/// Prefers the endpoint that the request's session is bound to (SessionAffinity): it scores 1, the others 0. 0 for all
/// without a session, and while its endpoint is no candidate.
class SessionAffinityScorer final : public WithSessionAffinity<Scorer> {
 public:
  static const PluginSpec kSpec;
  using WithSessionAffinity::WithSessionAffinity;
  [[nodiscard]] MetricSet consumes() const noexcept override { return {}; }
  void score(const PluginInput& input, std::span<const EndpointIndex> candidates,
             std::span<float> scores) const noexcept override;
};

}  // namespace llmd::scheduling
