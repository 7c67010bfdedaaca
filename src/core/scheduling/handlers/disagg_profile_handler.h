#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Decode, prefill and encode by separate profiles. decode-first: the decode profile runs, then the deciders say
/// whether the encode and the prefill profile run too (without a decider never). prefill-first: the prefill profile
/// always runs, then encode if its decider says so, then decode. A stage that finds no endpoint leaves its work to the
/// decode endpoint. A profile that is not configured is a stage that never runs.
struct DisaggProfileHandler {
  static const PluginSpec kSpec;
  static const PluginSpec kPdSpec;  // pd-profile-handler
  static constexpr std::string_view kPrefillFirst = "prefill-first";

  bool prefill_first = false;
  std::string decode_profile{};
  std::string prefill_profile{};
  std::string encode_profile{};
  std::string prefill_decider{};  // a plugin's name, empty: none
  std::string encode_decider{};
  std::uint16_t primary_port = 0;

  /// Of either type. Error kConfigInvalid: old and new names mixed, or a prefill decider with prefill-first.
  [[nodiscard]] static Result<DisaggProfileHandler> read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
