#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "config/object_decoder.h"

namespace llmd::config {

/// A name that logs, labels of metrics and command lines can hold: 1 to 63 letters, digits, '-', '_', '.' and '/'.
[[nodiscard]] Result<std::string> entry_name(const ObjectDecoder& decode, const YamlNode& node, std::string_view what);

}  // namespace llmd::config
