#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include "scheduling/config.h"
#include "scheduling/plugin_state.h"

namespace llmd::routing {

inline constexpr std::size_t kPluginStateItemsMax = 100;  // endpoints or scorers listed for one plugin

/// The page /debug/plugins/state in llm-d's form: {"timestamp": ..., "plugins": {NAME: {"type": ..., "state": {...}}}},
/// or "message" in the place of "state" for a plugin that remembers nothing. Plugins stand in the order of their names,
/// as do states that belong to no configured plugin, under their types. Of a list the items with the largest first
/// figure are shown, at most kPluginStateItemsMax; "totalEndpoints", "maxEndpoints" and "truncated" say so. Same input,
/// same bytes.
[[nodiscard]] std::string plugin_states_json(std::span<const scheduling::PluginInstance> plugins,
                                             std::span<const scheduling::NamedPluginState> states,
                                             std::chrono::sys_seconds at);

}  // namespace llmd::routing
