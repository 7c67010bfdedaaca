#include "simulation/policies/round_robin_policy.h"

#include "simulation/policies/candidates.h"

namespace llmd::simulation {

PolicyChoice RoundRobinPolicy::choose(const PolicyInput& input) {
  const auto& endpoints = input.snapshot.endpoints;
  const auto count = static_cast<std::uint32_t>(endpoints.size());
  for (std::uint32_t step = 0; step < count; ++step) {
    const std::uint32_t place = (next_ % count + step) % count;
    if (!takes_requests(endpoints[place])) continue;
    next_ = place + 1;
    return {.decode = place};
  }
  return {};
}

}  // namespace llmd::simulation
