#pragma once

#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::config {

/// The plugin types of llm-d that neither schedule nor control flow: parsers, request plugins, the data
/// layer. They have parameters and a state of support; what does their work is elsewhere (`pool`, `api`) or still to
/// come.
[[nodiscard]] std::span<const scheduling::PluginSpec> declared_plugins() noexcept;

}  // namespace llmd::config
