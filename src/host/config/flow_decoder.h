#pragma once

#include "config/decode_context.h"
#include "flow/config.h"

namespace llmd::config {

/// Decodes the `flowControl` section. Errors: unknown fields, quantities and durations that are none or negative, two
/// bands of one priority.
[[nodiscard]] Result<void> decode_flow_control(const YamlNode& node, DecodeContext& context, flow::FlowConfig& flow);

}  // namespace llmd::config
