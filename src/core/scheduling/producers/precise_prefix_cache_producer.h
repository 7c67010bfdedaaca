#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Knows from engines' KV events who holds which block. Parameters only.
struct PrecisePrefixCacheProducer {
  static const PluginSpec kSpec;
};

}  // namespace llmd::scheduling
