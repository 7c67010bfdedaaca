#pragma once

#include <cstdint>

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// One profile over the ranks of data-parallel pods: the request goes to the pod's primary port, and a header names the
/// rank that was chosen.
struct DataParallelProfileHandler {
  static const PluginSpec kSpec;

  /// The primary port.
  [[nodiscard]] static std::uint16_t read(const ParameterReader& parameters);
};

}  // namespace llmd::scheduling
