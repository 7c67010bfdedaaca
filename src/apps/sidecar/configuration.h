#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmd::sidecar {

/// One key of the sidecar's YAML configuration.
struct ConfiguredFlag {
  std::string name;      // as the flag's, without dashes
  std::string argument;  // "--port=8085"
};

/// The keys of `--configuration` or `--configuration-file`, which are the flags' names; a list is a value with commas.
/// `source` begins each error. Error kConfigInvalid: not a map of scalars and lists of scalars.
[[nodiscard]] Result<std::vector<ConfiguredFlag>> read_configuration(std::string_view yaml, std::string_view source);

}  // namespace llmd::sidecar
