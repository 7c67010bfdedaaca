#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/sim/contention.h"
#include "apps/sim/endpoint_facts.h"
#include "base/clock.h"
#include "base/error.h"
#include "simulation/profile_fit.h"

namespace llmd::sim {

struct CalibrateOptions {
  std::string url;
  std::string model;    // empty: the first that the server lists
  std::string api_key;  // empty: none
  /// Endpoints of the same model on the same machine: pinned to the other cores, one each, and pinned to its own.
  std::vector<std::string> neighbours{};
  std::vector<std::string> sharing{};
  seconds time{60};
};

struct Calibration {
  simulation::ProfileFit fit{};
  EndpointFacts facts{};
  std::string url;
  // Busy ones beside it, and what they did to it; 0: not measured.
  Slowness beside_none{};  // of the same work beside what the fit says; the profile is scaled by it
  std::size_t neighbours = 0;
  Slowness beside_neighbours{};
  std::size_t sharing = 0;  // the neighbours were busy, too
  Slowness beside_sharing{};
  double seconds_taken = 0;
};

/// Measures a live endpoint that has nothing else to do, and fits a profile to it: single prompts of several lengths
/// that nothing is cached of, the same again, and several sequences that decode together. Then a mix of these, alone,
/// while the neighbours are kept busy, and while those that share its core are as well: the profile's slow-downs. All
/// phases that were asked for take the same part of `time`. Blocks for `time`. Errors: of the connections,
/// kInvalidRequest (an endpoint is named twice, or they are too many), kUpstreamFailed, kDeadlineExceeded (too little
/// was measured by then).
[[nodiscard]] Result<Calibration> calibrate(const CalibrateOptions& options,
                                            const std::function<void(std::string_view)>& progress);

/// The profile as a file that says how it was made. Error kUpstreamFailed: --profile would refuse it.
[[nodiscard]] Result<std::string> calibration_file(const Calibration& calibration);

}  // namespace llmd::sim
