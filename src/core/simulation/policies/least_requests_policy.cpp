#include "simulation/policies/least_requests_policy.h"

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

PolicyChoice LeastRequestsPolicy::choose(const PolicyInput& input) {
  LeastWithRandomTies<std::uint32_t> least;
  for (std::uint32_t place = 0; place < input.snapshot.endpoints.size(); ++place) {
    if (!takes_requests(input.snapshot.endpoints[place])) continue;
    least.offer(place, inflight_requests(input, place), input.rng);
  }
  return {.decode = least.place()};
}

}  // namespace llmd::simulation
