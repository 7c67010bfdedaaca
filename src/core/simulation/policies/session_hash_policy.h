#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simulation/policies/candidates.h"
#include "simulation/policies/endpoint_places.h"

namespace llmd::simulation {

/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads",
/// arXiv:1608.01350, 2016). Endpoints and sessions lie on a ring of hashes; a request goes to the first endpoint after
/// its session that has room. Room is ceil(load_factor * (m + 1) / n) requests in flight, with m in flight from here
/// now at the n endpoints that take requests. A request without a session is hashed by its request id.
class SessionHashPolicy final : public Policy {
 public:
  struct Options {
    double load_factor = 1.25;       // the paper's c, above 1. Lower: more even, and sessions move more often
    std::uint32_t ring_points = 64;  // an endpoint. More: shares of the ring are more alike
  };
  explicit SessionHashPolicy(Options options) : options_{options} {}

  [[nodiscard]] PolicyChoice choose(const PolicyInput& input) override;

 private:
  struct Point {
    std::uint64_t hash = 0;
    std::uint32_t place = 0;
  };
  void make_ring(const EndpointSnapshot& snapshot);
  /// Requests that one endpoint may have, this one counted. 0 if none takes requests.
  [[nodiscard]] std::uint64_t room(const PolicyInput& input);

  Options options_;
  EndpointPlaces places_;
  Candidates candidates_;
  std::vector<Point> ring_;  // by hash
};

}  // namespace llmd::simulation
