#pragma once

#include "scheduling/config.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// How prompts are cut for the prefix index, and how much the index keeps. Holds no data: the index is the host's.
struct ApproxPrefixCacheProducer {
  static const PluginSpec kSpec;
  static const PluginSpec kMulticlusterSpec;  // the same for endpoints that are clusters
  [[nodiscard]] static PrefixOptions read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
