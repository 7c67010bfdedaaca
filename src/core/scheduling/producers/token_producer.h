#pragma once

#include "model/media_estimate.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Where a prompt's tokens come from. This version counts them itself, with the model's vocabulary or by the estimate
/// of four bytes a token; what the parameters say of images and videos counts in both cases.
struct TokenProducer {
  static const PluginSpec kSpec;
  static const PluginSpec kOldSpec;  // tokenizer, its name before
  [[nodiscard]] static MediaEstimate read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
