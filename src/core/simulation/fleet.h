#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "health/outlier_options.h"
#include "simulation/fleet_outliers.h"
#include "simulation/flow_control.h"
#include "simulation/hardware_profile.h"
#include "simulation/load_sampler.h"
#include "simulation/oracle.h"
#include "simulation/policy.h"
#include "simulation/workload.h"

namespace llmd::simulation {

/// Something that befalls an endpoint.
struct Fault {
  enum class Kind : std::uint8_t {
    kDies,      // its requests are cut, connections are refused
    kRestarts,  // a new process, with nothing of what the old one held: it serves after the profile's start_s
    kSlows,     // its steps take `factor` times as long; 1 ends it
    kPauses,    // no step ends for `duration` (SIGSTOP)
  };
  Duration at{};  // since the start
  std::uint32_t endpoint = 0;
  Kind kind = Kind::kDies;
  double factor = 1;
  Duration duration{};
};

struct FleetOptions {
  std::uint32_t endpoints = 8;
  std::uint32_t prefill_endpoints = 0;  // of these, the first so many have the role prefill, the others decode
  /// Endpoints stand in so many racks, in turn; KV between two of them takes `far_links` times as long. 1: one rack.
  std::uint32_t racks = 1;
  double far_links = 1;
  bool rebalance_roles = false;  // prefill and decode endpoints change their roles (pd::RoleBalancer)
  /// They stand on one machine with so many cores (or GPUs), pinned to them in turn, and slow each other down as the
  /// profile says; 0: each has a machine of its own. Not with faults that pause: one that is stopped would still take
  /// its turns on the core.
  std::uint32_t cores = 0;
  HardwareProfile profile{};
  Duration scrape_interval = milliseconds{50};  // llm-d's; higher: the policy sees older metrics
  Duration scrape_delay = milliseconds{5};      // from a reading until the policy sees it
  std::uint64_t seed = 1;
  std::uint64_t requests_max = 0;  // 0: all of the workload's
  std::uint32_t attempts_max = 4;  // endpoints tried while nothing was streamed
  std::vector<Fault> faults{};
  health::OutlierOptions outliers{};  // as the gateway has them
  Duration duration_max = std::chrono::hours{24};
  /// Only requests that arrive in this window (since the start) are in the result: those before fill caches and bring
  /// sessions under way, those after keep the load up until the measured ones have ended.
  Duration measure_from{};
  Duration measure_until = Duration::max();
  std::uint32_t oracle_every = 0;       // one in so many measured decisions is held against the oracle; 0: none is
  LoadSampler* load_sampler = nullptr;  // asked at each `load_interval`; null: nobody
  Duration load_interval = seconds{1};  // above 0
};

/// What became of one request.
struct RequestResult {
  std::uint64_t id = 0;
  float ttft_ms = 0;
  float tpot_ms = 0;  // mean after the first token; 0 with one token
  float total_ms = 0;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t output_tokens = 0;  // fewer than asked for if its slot was full
  std::uint16_t endpoint = 0;       // that decoded it
  std::uint16_t tenant = 0;
  std::int16_t priority = 0;
  bool failed = false;  // refused, cut, or never ended
  bool prefilled_apart = false;
  float slo_ttft_ms = 0;  // 0: none
  float slo_tpot_ms = 0;
};

struct FleetResult {
  std::vector<RequestResult> requests;
  std::vector<double> busy_s;       // of each endpoint, within the window
  std::vector<std::uint64_t> sent;  // requests to each endpoint
  std::vector<double> load;         // mean requests in each endpoint, within the window
  std::uint64_t output_tokens = 0;  // of requests that ended within the window, whenever they came
  std::uint32_t running_peak = 0;   // in any endpoint, of what scrapes saw
  std::uint32_t waiting_peak = 0;
  float kv_usage_peak = 0;
  double measured_s = 0;  // the window's length; without an end of its own it ends with the last request
  std::uint64_t decisions = 0;
  std::uint64_t retries = 0;
  std::uint64_t held_back = 0;    // requests that waited in flow control
  std::uint64_t turned_away = 0;  // of those and others: refused by it, or waited too long
  std::uint64_t role_changes = 0;
  std::uint64_t steps = 0;
  OracleTally oracle{};
  std::vector<ShareChange> share_changes;  // of endpoints that stand out
  std::uint64_t dispatched_to_dead = 0;  // decisions for an endpoint that the snapshot says is down: never, if it works
};

/// Runs the workload to its end in virtual time. With `flow` (may be null) requests wait for it before the policy sees
/// them; those that it refuses or lets wait too long have failed. Deterministic: same arguments, same result.
[[nodiscard]] FleetResult run_fleet(const FleetOptions& options, Workload& workload, Policy& policy,
                                    FlowControl* flow = nullptr);

}  // namespace llmd::simulation
