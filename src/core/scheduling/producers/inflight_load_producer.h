#pragma once

#include "scheduling/config.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// What a request adds to the tokens in flight at its endpoint. Holds no data: the counters are the pool's.
struct InflightLoadProducer {
  static const PluginSpec kSpec;
  [[nodiscard]] static InflightOptions read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
