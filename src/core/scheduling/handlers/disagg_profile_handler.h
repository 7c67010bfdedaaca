#pragma once

#include <string>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Prefill and decode by separate profiles. decode-first: the decode profile runs, then its decider says whether the
/// prefill profile runs too (without a decider never). prefill-first: the prefill profile always runs, then decode. A
/// prefill profile that finds no endpoint leaves the request to the decode endpoint alone.
struct DisaggProfileHandler {
  static const PluginSpec kSpec;
  static constexpr std::string_view kPrefillFirst = "prefill-first";

  bool prefill_first = false;
  std::string decode_profile;
  std::string prefill_profile;
  std::string prefill_decider;  // a plugin's name, empty: none

  [[nodiscard]] static DisaggProfileHandler read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
