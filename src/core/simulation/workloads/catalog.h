#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "simulation/workload.h"

namespace llmd::simulation {

/// What every workload of the catalog takes; the rest is the defaults of its own options.
struct WorkloadOptions {
  std::uint64_t requests = 10'000;  // in all, later turns counted
  double rate_per_s = 10;           // requests a second in the long run, later turns counted; 1e-6 to 1e9
  std::uint64_t seed = 1;
};

/// chat, agents, shared-prefix, documents, tenants, uniform, bursty, flip.
[[nodiscard]] std::span<const std::string_view> workload_names() noexcept;

/// Null for any other name.
[[nodiscard]] std::unique_ptr<Workload> make_workload(std::string_view name, const WorkloadOptions& options);

}  // namespace llmd::simulation
