#pragma once

#include <string>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Runs the one profile that a request header names; `default_profile` without the header. With a single profile that
/// one, whatever the header says. A name without profile: no endpoint.
struct HeaderProfileHandler {
  static const PluginSpec kSpec;

  std::string header;  // in lower case
  std::string default_profile;

  [[nodiscard]] static HeaderProfileHandler read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
