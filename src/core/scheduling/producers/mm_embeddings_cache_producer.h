#pragma once

#include "scheduling/plugin_spec.h"
#include "scheduling/producers/media_index.h"

namespace llmd::scheduling {

/// How much of encoded media an endpoint is thought to keep. Holds no data: that is MediaIndex.
struct MmEmbeddingsCacheProducer {
  static const PluginSpec kSpec;
  /// With 2 MiB an item, as in llm-d: 2,048 by default.
  [[nodiscard]] static MediaIndex::Options read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
