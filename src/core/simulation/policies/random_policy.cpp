#include "simulation/policies/random_policy.h"

namespace llmd::simulation {

PolicyChoice RandomPolicy::choose(const PolicyInput& input) {
  const auto places = candidates_.of(input.snapshot);
  if (places.empty()) return {};
  return {.decode = places[input.rng.below(places.size())]};
}

}  // namespace llmd::simulation
