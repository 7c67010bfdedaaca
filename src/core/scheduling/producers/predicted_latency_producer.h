#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Predicts the time to the first token and the time per token of a request on each endpoint. Parameters only:
/// latency_rules() reads those that the readers of predictions need.
struct PredictedLatencyProducer {
  static const PluginSpec kSpec;
};

}  // namespace llmd::scheduling
