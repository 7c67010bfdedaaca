#include "simulation/policies/recorded_policy.h"

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

PolicyChoice RecordedPolicy::choose(const PolicyInput& input) {
  const std::uint32_t place = input.recorded_endpoint;
  const auto& endpoints = input.snapshot.endpoints;
  if (place < endpoints.size() && takes_requests(endpoints[place])) return {.decode = place};
  return otherwise_.choose(input);
}

}  // namespace llmd::simulation
