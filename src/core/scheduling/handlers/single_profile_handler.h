#pragma once

#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// Runs the only profile; its choice gets the request.
struct SingleProfileHandler {
  static const PluginSpec kSpec;
};

}  // namespace llmd::scheduling
