#include "scheduling/filters/health_filter.h"

#include <fmt/format.h>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

bool may_serve(const PluginInput& input, EndpointIndex i) noexcept {
  switch (input.endpoints[i].health) {
    case EndpointHealth::kUnknown:
    case EndpointHealth::kReady: return true;
    case EndpointHealth::kProbing: return input.inflight_requests(i) == 0;
    case EndpointHealth::kDraining:
    case EndpointHealth::kDown: return false;
  }
  return false;
}

}  // namespace

std::size_t HealthFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return may_serve(input, i); });
}

std::string HealthFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const EndpointHealth health = input.endpoints[endpoint].health;
  if (health == EndpointHealth::kProbing) {
    return fmt::format("on trial with {} requests in flight; wanted 0", input.inflight_requests(endpoint));
  }
  return fmt::format("is {}; wanted ready or unknown", health_name(health));
}

}  // namespace llmd::scheduling
