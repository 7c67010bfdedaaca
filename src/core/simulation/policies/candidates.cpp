#include "simulation/policies/candidates.h"

namespace llmd::simulation {

bool takes_requests(const EndpointState& state) noexcept {
  return state.health != EndpointHealth::kDown && state.health != EndpointHealth::kDraining;
}

std::uint32_t inflight_requests(const PolicyInput& input, std::uint32_t place) noexcept {
  return place < input.live.size() ? input.live[place].requests : input.snapshot.endpoints[place].inflight_requests;
}

std::uint64_t inflight_tokens(const PolicyInput& input, std::uint32_t place) noexcept {
  return place < input.live.size() ? input.live[place].tokens : input.snapshot.endpoints[place].inflight_tokens;
}

std::span<const std::uint32_t> Candidates::of(const EndpointSnapshot& snapshot) {
  places_.clear();
  for (std::uint32_t place = 0; place < snapshot.endpoints.size(); ++place) {
    if (takes_requests(snapshot.endpoints[place])) places_.push_back(place);
  }
  return places_;
}

}  // namespace llmd::simulation
