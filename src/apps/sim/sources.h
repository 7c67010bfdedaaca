#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/sim/compare.h"
#include "base/error.h"
#include "scheduling/config.h"

namespace llmd::sim {

/// `builtin` is every policy that is built in; else names of them, `recorded`, and EndpointPickerConfig files, in their
/// order.
/// Errors: kInvalidRequest (an unknown name), those of config::load_endpoint_picker_config.
[[nodiscard]] Result<std::vector<NamedPolicy>> find_policies(const std::vector<std::string>& names);

/// The scheduler with a configuration that the loader, or Scheduler::make, has checked. With a plugin that needs KV
/// events (precise-prefix-cache-*) the simulated endpoints send them.
[[nodiscard]] NamedPolicy policy_of_config(std::string name, scheduling::SchedulingConfig config);

/// A generator's name, or a file of Mooncake's trace format or of the recorded log, of which `requests` rows are read
/// (0: all). Errors: kInvalidRequest (also 0 requests of a generator, which has no end), kFileNotFound, kFileInvalid
/// with the line.
[[nodiscard]] Result<NamedWorkload> find_workload(const std::string& trace, std::uint64_t requests);

}  // namespace llmd::sim
