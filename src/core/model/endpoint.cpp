#include "model/endpoint.h"

#include <algorithm>

namespace llmd {

const ServedModel* Endpoint::find_model(std::string_view id) const noexcept {
  const auto found = std::ranges::find(models, id, &ServedModel::id);
  return found == models.end() ? nullptr : &*found;
}

std::string_view role_name(EndpointRole role) noexcept {
  switch (role) {
    case EndpointRole::kUnified: return "unified";
    case EndpointRole::kPrefill: return "prefill";
    case EndpointRole::kDecode: return "decode";
  }
  return "unified";
}

std::string_view health_name(EndpointHealth health) noexcept {
  switch (health) {
    case EndpointHealth::kUnknown: return "unknown";
    case EndpointHealth::kReady: return "ready";
    case EndpointHealth::kProbing: return "probing";
    case EndpointHealth::kDraining: return "draining";
    case EndpointHealth::kDown: return "down";
  }
  return "unknown";
}

}  // namespace llmd
