#pragma once

#include <string>

namespace llmd::config {

/// The reference of all plugin types in Markdown, made from the specs that validate: docs/plugins.md.
[[nodiscard]] std::string plugin_reference();

}  // namespace llmd::config
