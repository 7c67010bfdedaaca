#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.h"
#include "simulation/engine.h"
#include "simulation/hardware_profile.h"
#include "simulation/workload.h"

namespace llmd::simulation {

/// An endpoint that serves, as it stands at a moment. References and numbers only.
struct EndpointMoment {
  const SimEngine& engine;
  std::optional<TimePoint> step_ends;  // of the step under way; nothing: it has nothing to do
  TimePoint paused_until{};
  double slow = 1;  // its steps take so many times as long
};

/// How long the request would wait for its first token if it were sent there now and nobody came after it: a copy of
/// the engine serves it and what it holds already. Requests that are on their way to the endpoint (submit_s) are not
/// seen. Nothing: the endpoint refuses it, or it takes more than 100,000 steps. O(requests + blocks + steps).
[[nodiscard]] std::optional<Duration> time_to_first_token(const EndpointMoment& endpoint, const SimRequest& request,
                                                          const HardwareProfile& profile, TimePoint now);

/// How good choices were, by what would have come of each other one.
struct OracleTally {
  std::uint64_t decisions = 0;
  std::uint64_t best = 0;  // a tenth, or a millisecond, within the least time to the first token
  double regret_ms = 0;    // sum of what the choices took longer than the least
};

/// Adds one choice. `times`: of every endpoint, nothing where it cannot be served; nothing anywhere: not counted.
void judge(std::span<const std::optional<Duration>> times, std::uint32_t chosen, OracleTally& tally);

}  // namespace llmd::simulation
