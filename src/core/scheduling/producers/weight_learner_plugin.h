#pragma once

#include "scheduling/learning/weight_learner.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Asks for a WeightLearner. Parameters only: the scheduler makes the learner, which is part of its memory.
struct WeightLearnerPlugin {
  static const PluginSpec kSpec;
  /// All but the profile and the bound.
  [[nodiscard]] static WeightLearner::Options read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
