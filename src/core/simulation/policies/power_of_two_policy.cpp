#include "simulation/policies/power_of_two_policy.h"

#include <cstddef>

namespace llmd::simulation {

PolicyChoice PowerOfTwoPolicy::choose(const PolicyInput& input) {
  const auto places = candidates_.of(input.snapshot);
  if (places.empty()) return {};
  if (places.size() == 1) return {.decode = places[0]};
  const std::size_t first = input.rng.below(places.size());
  // Drawn from one fewer and moved past the first, so the two always differ.
  std::size_t second = input.rng.below(places.size() - 1);
  if (second >= first) ++second;
  const bool second_is_freer = inflight_requests(input, places[second]) < inflight_requests(input, places[first]);
  return {.decode = places[second_is_freer ? second : first]};
}

}  // namespace llmd::simulation
