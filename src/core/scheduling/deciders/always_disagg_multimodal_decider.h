#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Every request with an image, audio or video gets an encode leg, if an endpoint can take it.
class AlwaysDisaggMultimodalDecider final : public Decider {
 public:
  static const PluginSpec kSpec;
  [[nodiscard]] StageDecision decide(const StageFacts& facts) const noexcept override;
};

}  // namespace llmd::scheduling
