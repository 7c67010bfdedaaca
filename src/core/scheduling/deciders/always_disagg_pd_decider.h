#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Every request gets a prefill leg, if an endpoint can take it.
class AlwaysDisaggPdDecider final : public Decider {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] StageDecision decide(const StageFacts& facts) const noexcept override;
};

}  // namespace llmd::scheduling
