#pragma once

#include <span>

#include "scheduling/plugin_spec.h"

namespace llmd::flow {

/// The plugin types of flow control but saturation detectors, which are scheduling's: fairness, ordering, usage limits,
/// eviction.
[[nodiscard]] std::span<const scheduling::PluginSpec> policy_specs() noexcept;

}  // namespace llmd::flow
