#include "simulation/policies/endpoint_places.h"

#include <algorithm>

namespace llmd::simulation {

bool EndpointPlaces::update(const EndpointSnapshot& snapshot) {
  const bool first = !version_;
  if (version_ == snapshot.version && endpoints_.size() == snapshot.endpoints.size()) return false;
  version_ = snapshot.version;
  if (!first && std::ranges::equal(endpoints_, snapshot.endpoints, {}, {}, &EndpointState::endpoint)) return false;
  endpoints_.clear();
  places_.clear();
  for (const EndpointState& state : snapshot.endpoints) {
    places_.emplace(state.endpoint.get(), static_cast<std::uint32_t>(endpoints_.size()));
    endpoints_.push_back(state.endpoint);
  }
  return true;
}

std::uint32_t EndpointPlaces::find(const Endpoint* endpoint) const noexcept {
  const auto known = places_.find(endpoint);
  return known == places_.end() ? kNoEndpoint : known->second;
}

std::string_view EndpointPlaces::name(std::uint32_t place) const noexcept {
  return place < endpoints_.size() ? std::string_view{endpoints_[place]->name} : std::string_view{};
}

}  // namespace llmd::simulation
