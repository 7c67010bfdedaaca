#include "scheduling/filters/topology_affinity_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "minAffinity",
                  .type = ParameterType::kText,
                  .text = "host",
                  .choices = kTopologyLevels,
                  .help = "the farthest level that still counts as near"},
    kTopologyProducerName,
};

}  // namespace

constinit const PluginSpec TopologyAffinityFilter::kSpec{
    .type = "topology-affinity-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints near the endpoint of the request's other stage, all if none is",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const auto least = parse_topology_level(parameters.text("minAffinity"));
      return std::make_unique<const TopologyAffinityFilter>(
          least.value_or(TopologyLevel::kHost),
          TopologyLabels::of(parameters, parameters.text("topologyProducerName")));
    },
    .stability = Stability::kAlpha,
    .inputs = "topology labels; the endpoint of the other stage",
    .no_data = "an endpoint without labels is not near; without an endpoint to be near to all stay",
};

std::size_t TopologyAffinityFilter::filter(const PluginInput& input,
                                           std::span<EndpointIndex> candidates) const noexcept {
  if (!has_peer_place(input)) return candidates.size();
  const FixedValue& peer = input.fixed[input.peer];
  const auto near = [&](EndpointIndex i) { return compare_places(peer, input.fixed[i]) <= least_; };
  // keep_if() moves what it keeps, so whether it would keep anything is asked before.
  return std::ranges::any_of(candidates, near) ? keep_if(candidates, near) : candidates.size();
}

std::string TopologyAffinityFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const TopologyLevel level = compare_places(input.fixed[input.peer], input.fixed[endpoint]);
  return fmt::format("nearest level in common with {} is {}; wanted {}", input.endpoints[input.peer].endpoint->name,
                     topology_level_name(level), topology_level_name(least_));
}

}  // namespace llmd::scheduling
