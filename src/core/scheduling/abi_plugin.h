#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "scheduling/abi/llmd_plugin_v1.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// What a plugin from a library did so far. Written by the threads that decide, read by the host; each number is exact,
/// all of them together are not of one moment.
struct AbiPluginCounters {
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::uint64_t> overruns{0};  // calls that took longer than the budget; their answers counted
  std::atomic<std::uint64_t> faults{0};    // calls with an answer that breaks the rules
  std::atomic<std::uint64_t> skipped{0};   // calls not made since the plugin is off
  std::atomic<bool> off{false};            // it is called no more
};

struct AbiPluginOptions {
  std::string parameters_json = "{}";
  /// What a call may take. It runs on the deciding thread, so it is measured, not stopped.
  Duration budget = microseconds{200};
  /// So many overruns switch the plugin off; each 1,000 calls pardon one, so that a busy machine alone does not. 0:
  /// never.
  std::uint32_t overruns_max = 10;
  /// Held while the plugin lives: what keeps the table's code loaded.
  std::shared_ptr<const void> library{};
};

struct AbiPlugin {
  std::string type;
  PluginObjects objects;  // a scorer or a filter
  std::shared_ptr<const AbiPluginCounters> counters;
};

/// Makes a plugin of a library's table, which the host has loaded. An answer that breaks the rules costs no request: an
/// infinite score is no data, a filter that says anything but keep and drop keeps all, one that writes past its
/// candidates is switched off at once. A plugin that is off has no data for all, or keeps all.
///
/// `clock` must outlive the plugin. Error kConfigInvalid: the table is of another ABI version, incomplete, or has the
/// type of a plugin of llmd's own; or the plugin refuses the parameters, with what it says. The code of the library is
/// trusted: it runs in this process.
[[nodiscard]] Result<AbiPlugin> make_abi_plugin(const llmd_plugin_v1* table, AbiPluginOptions options,
                                                const Clock& clock);

}  // namespace llmd::scheduling
