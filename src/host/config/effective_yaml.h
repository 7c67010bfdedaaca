#pragma once

#include <string>

#include "config/endpoint_picker_config.h"

namespace llmd::config {

/// The configuration as it works, as YAML that loads to the same: with the defaults that were filled in, plugins in
/// their order. For people and for diffs; comments of the file are not kept.
[[nodiscard]] std::string effective_yaml(const EndpointPickerConfig& config);

}  // namespace llmd::config
