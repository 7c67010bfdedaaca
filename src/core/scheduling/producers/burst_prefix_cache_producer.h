#pragma once

#include "base/clock.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/producers/burst_assignment.h"

namespace llmd::scheduling {

/// Holds requests for a short window and places those that share a prompt together: see assign_burst().
struct BurstPrefixCacheProducer {
  static const PluginSpec kSpec;
  struct Options {
    milliseconds window{100};          // how long a request waits for others
    std::uint32_t block_tokens = 64;   // of a block that prompts are compared by
    std::uint32_t blocks_max = 2'048;  // leading blocks that are compared
    std::uint32_t batch_max = 1'000;   // requests of one window; BurstRules::kUnlimited: any number
    BurstRules rules{};
  };
  [[nodiscard]] static Options read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
