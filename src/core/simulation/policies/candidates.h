#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "simulation/policy.h"

namespace llmd::simulation {

/// Whether a gateway would send a new request there, as far as readiness tells: not down and not draining. Rivals look
/// at no more than this; the twin's fleets serve one model.
[[nodiscard]] bool takes_requests(const EndpointState& state) noexcept;

/// What was sent to the endpoint of this place and has not ended: from the live counters, or from the snapshot where
/// there are none.
[[nodiscard]] std::uint32_t inflight_requests(const PolicyInput& input, std::uint32_t place) noexcept;
[[nodiscard]] std::uint64_t inflight_tokens(const PolicyInput& input, std::uint32_t place) noexcept;

/// The places of the endpoints that take requests, ascending. One object a policy, reused, so that a choice allocates
/// nothing while the fleet does not grow.
class Candidates {
 public:
  [[nodiscard]] std::span<const std::uint32_t> of(const EndpointSnapshot& snapshot);

 private:
  std::vector<std::uint32_t> places_;
};

/// Keeps the least of a row of values. Equal values win in turn with probability 1/k for the k-th, so that each is kept
/// equally often (reservoir sampling) and nothing is collected.
template <class Value>
class LeastWithRandomTies {
 public:
  void offer(std::uint32_t place, Value value, Rng& rng) {
    if (place_ == kNoEndpoint || value < value_) {
      place_ = place;
      value_ = value;
      ties_ = 1;
    } else if (!(value_ < value)) {
      ++ties_;
      if (rng.below(ties_) == 0) place_ = place;
    }
  }
  /// kNoEndpoint if nothing was offered.
  [[nodiscard]] std::uint32_t place() const noexcept { return place_; }

 private:
  std::uint32_t place_ = kNoEndpoint;
  std::uint32_t ties_ = 0;
  Value value_{};
};

}  // namespace llmd::simulation
