#pragma once

#include "scheduling/config.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// How prompts are cut for the prefix index, and how much the index keeps. Holds no data: the index is the host's.
struct ApproxPrefixCacheProducer {
  static const PluginSpec kSpec;
  [[nodiscard]] static PrefixOptions read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
