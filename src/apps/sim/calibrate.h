#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/endpoint_facts.h"
#include "apps/sim/prober.h"
#include "base/clock.h"
#include "base/error.h"
#include "simulation/profile_fit.h"

namespace llmd::sim {

struct CalibrateOptions {
  std::string url;
  std::string model;    // empty: the first that the server lists
  std::string api_key;  // empty: none
  seconds time{60};
};

struct Calibration {
  simulation::ProfileFit fit{};
  EndpointFacts facts{};
  std::string url;
  double seconds_taken = 0;
};

/// Measures a live endpoint that has nothing else to do, and fits a profile to it: single prompts of several lengths
/// that nothing is cached of, the same again, and several sequences that decode together. Blocks for `time`. Errors: of
/// the connection, kUpstreamFailed, kDeadlineExceeded (too little was measured by then).
[[nodiscard]] Result<Calibration> calibrate(const CalibrateOptions& options,
                                            const std::function<void(std::string_view)>& progress);

/// The profile as a file that says how it was made. Error kUpstreamFailed: --profile would refuse it.
[[nodiscard]] Result<std::string> calibration_file(const Calibration& calibration);

/// How long a step took while all of these decoded, as a sample. Nothing if they hardly did.
[[nodiscard]] std::optional<simulation::CostSample> decode_sample(const std::vector<ProbeAnswer>& answers);

/// How many prompt tokens go into a step, by how many steps a prompt of `tokens` took.
[[nodiscard]] std::uint32_t chunk_of(std::uint32_t tokens, double steps) noexcept;

}  // namespace llmd::sim
