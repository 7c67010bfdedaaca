#pragma once

#include <string_view>
#include <vector>

#include "scheduling/plugin_spec.h"

namespace llmd::config {

/// Every plugin type that a configuration may name, by kind and then name.
[[nodiscard]] const std::vector<const scheduling::PluginSpec*>& all_plugins();
/// Null if there is none of the type.
[[nodiscard]] const scheduling::PluginSpec* find_plugin(std::string_view type);

}  // namespace llmd::config
