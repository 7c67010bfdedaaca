#include "scheduling/filters/subset_filter.h"

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {

std::size_t SubsetFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  if (input.eligible.empty()) return candidates.size();
  return keep_if(candidates, [&](EndpointIndex i) { return input.eligible[i] != 0; });
}

std::string SubsetFilter::reason(const PluginInput& /*input*/, EndpointIndex /*endpoint*/) const {
  return "is not among the endpoints that the request may go to";
}

}  // namespace llmd::scheduling
