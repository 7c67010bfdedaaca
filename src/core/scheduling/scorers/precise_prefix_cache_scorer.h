#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// prefix-cache-scorer with a precise-prefix-cache-producer of its own, as llm-d had it before the two were separate.
struct PrecisePrefixCacheScorer {
  static const PluginSpec kSpec;
};

}  // namespace llmd::scheduling
