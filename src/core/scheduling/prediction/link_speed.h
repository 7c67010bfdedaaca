#pragma once

#include "scheduling/plugin.h"

namespace llmd::scheduling {

/// A link between two endpoints as the predictor counts it.
struct LinkSpeed {
  float slowness = 1;  // times as slow as one of kLinkReferenceMbps; 1 if nothing fresh is known
  float latency_ms = 0;
};

[[nodiscard]] LinkSpeed link_between(const PluginInput& input, EndpointIndex from, EndpointIndex to) noexcept;

/// Milliseconds from the end of the prefill leg to the first token when so many thousand tokens of KV come.
[[nodiscard]] float handoff_ms(const HandoffPrediction& handoff, float moved, const LinkSpeed& link) noexcept;

}  // namespace llmd::scheduling
