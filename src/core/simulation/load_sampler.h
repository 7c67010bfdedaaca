#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"

namespace llmd::simulation {

/// An endpoint's load at one moment, as a gateway sees it; but for `busy`, which only the twin knows.
struct LoadSample {
  std::uint32_t requests = 0;  // in flight
  std::uint64_t tokens = 0;    // LiveLoad::tokens
  double busy = 0;             // 0..1, share of the time since the last sample in which a step ran
};

/// Hears of all endpoints' loads at a fixed interval.
class LoadSampler {
 public:
  LoadSampler() = default;
  LoadSampler(const LoadSampler&) = delete;
  LoadSampler& operator=(const LoadSampler&) = delete;
  virtual ~LoadSampler() = default;

  /// `at`: since the start. One sample an endpoint.
  virtual void sample(Duration at, std::span<const LoadSample> loads) = 0;
};

}  // namespace llmd::simulation
