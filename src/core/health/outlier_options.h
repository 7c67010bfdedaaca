#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace llmd::health {

/// When an endpoint stands out from its peers, and what is done about it.
struct OutlierOptions {
  bool enabled = true;
  Duration interval = seconds{1};      // between two looks
  Duration window = seconds{60};       // what ended before it no longer counts
  std::uint32_t observations_min = 5;  // of an endpoint, before it is judged or is a peer to others
  std::uint32_t peers_min = 3;         // others of its class with as many observations
  // So many times as slow as the peers' median, at least: one that takes twice the time is still worth more to a policy
  // that heeds load than the cache that goes with it. By the first token where answers have only one.
  float tpot_factor_min = 2.5F;
  float ttft_factor_min = 4.0F;
  float z_min = 4.0F;                    // and at least so many robust standard deviations of them
  float deviation_floor = 0.1F;          // of a class whose endpoints are more alike than this (a logarithm)
  float clear_factor = 1.5F;             // below it an endpoint is like its peers again
  double failure_share_min = 0.1;        // so many of its requests failed, ...
  std::uint32_t failures_min = 3;        // ...
  double failure_share_expected = 0.02;  // ... which, if this many or the peers' median fail, ...
  double failure_chance_max = 1e-4;      // ... is less probable than this
  double reduced_share_max = 1.0 / 3.0;  // of a class's serving endpoints, rounded down, are below full share
  Duration hold = seconds{15};           // without evidence against it a share doubles after so long
  std::uint32_t probes = 3;              // that decide whether an ejected endpoint comes back
  Duration probe_gap = seconds{1};       // between two of them
  Duration pause_min = seconds{5};       // first ejection; doubled by each that follows ...
  Duration pause_max = seconds{60};      // ... up to here
  Duration forgive_after = seconds{60};  // at full share: the next pause is half as long again
};

}  // namespace llmd::health
