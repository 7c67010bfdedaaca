#pragma once

#include "config/decode_context.h"

namespace llmd::config {

struct PluginDecoderOptions {
  bool allow_experimental = false;  // alpha plugin types are not an error
};

/// Decodes one entry of `plugins` into context.plugins. Errors: no type or an unknown one, an alpha type that is not
/// allowed, a name twice, a parameter that is unknown, given twice or wrong.
[[nodiscard]] Result<void> decode_plugin(const YamlNode& node, PluginDecoderOptions options, DecodeContext& context);

/// What needs all plugins: parameters that are missing or do not go together, with the plugin's place. `config` holds
/// them.
[[nodiscard]] Result<void> check_plugins(const scheduling::SchedulingConfig& config, const DecodeContext& context);

}  // namespace llmd::config
