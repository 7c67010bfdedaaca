#pragma once

#include <string_view>

#include "apps/gateway/service.h"

namespace llmd::gateway {

/// Fills the setup's scheduling part from --config, or from `fallback` if there is none; warnings go to the log.
/// Errors as config::load_endpoint_picker_config.
[[nodiscard]] Result<void> load_config(Setup& setup, std::string_view fallback);

}  // namespace llmd::gateway
