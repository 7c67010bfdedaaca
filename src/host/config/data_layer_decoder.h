#pragma once

#include "config/decode_context.h"
#include "config/endpoint_picker_config.h"

namespace llmd::config {

/// Fills in what the sources and extractors of `layer` say, once all plugins are known and their parameters checked.
/// Errors at the plugin's place: a series that is none, an engine without name or named twice, a default engine that
/// nobody knows, a path that is none, node addresses asked for at the endpoint's own port.
[[nodiscard]] Result<void> decode_data_sources(DecodeContext& context, DataLayerConfig& layer);

}  // namespace llmd::config
