#pragma once

#include "base/error.h"
#include "config/decode_context.h"
#include "config/endpoint_picker_config.h"

namespace llmd::config {

/// Makes what the document's plugins of kind kRequestPlugin do: RequestPluginsConfig. Error kConfigInvalid, at the
/// parameter that is wrong. Pre: the parameters were checked against their specs.
[[nodiscard]] Result<void> decode_request_plugins(DecodeContext& context, RequestPluginsConfig& plugins);

}  // namespace llmd::config
