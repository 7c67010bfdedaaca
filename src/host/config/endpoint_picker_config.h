#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "scheduling/config.h"

namespace llmd::config {

/// What a file of kind EndpointPickerConfig says, typed and checked, with llm-d's defaults filled in.
struct EndpointPickerConfig {
  scheduling::SchedulingConfig scheduling;
  std::vector<std::string> warnings;  // one line each, for the log
};

/// Reads YAML or JSON, strictly: unknown fields, plugin types, parameters and references are errors with line, column
/// and the nearest known name. Both API groups are accepted; the older one warns. `source` names the text in errors.
/// Error kConfigInvalid. A config that is returned makes a Scheduler without error.
[[nodiscard]] Result<EndpointPickerConfig> parse_endpoint_picker_config(std::string_view text, std::string_view source);

/// The same of a file of at most 1 MiB. Errors: kFileNotFound, kFileInvalid (a folder, too large, not readable),
/// kConfigInvalid.
[[nodiscard]] Result<EndpointPickerConfig> load_endpoint_picker_config(const std::filesystem::path& path);

}  // namespace llmd::config
