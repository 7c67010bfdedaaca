#include "scheduling/filters/outlier_filter.h"

#include <algorithm>

#include "base/hash.h"
#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {

std::size_t OutlierFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  const bool any =
      std::ranges::any_of(candidates, [&](EndpointIndex i) { return input.endpoints[i].traffic.share < 1; });
  if (!any) return candidates.size();
  const std::uint64_t request = xxh64(input.request.request_id);
  return keep_if_any(candidates, [&](EndpointIndex i) {
    const EndpointState& state = input.endpoints[i];
    // Asked here already, so that nobody fetches the names of those that have all of their traffic.
    return state.traffic.share >= 1 ||
           admits(state.traffic, request, state.endpoint->name, input.inflight_requests(i), input.now);
  });
}

std::string OutlierFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  return describe(input.endpoints[endpoint].traffic);
}

}  // namespace llmd::scheduling
