#include "scheduling/scorers/topology_affinity_scorer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{kTopologyProducerName};
// By TopologyLevel.
constexpr std::array kScores{1.0F, 0.2F, 0.05F, 0.02F, 0.0F};

}  // namespace

constinit const PluginSpec TopologyAffinityScorer::kSpec{
    .type = "topology-affinity-scorer",
    .kind = PluginKind::kScorer,
    .help = "near the endpoint of the request's other stage, by host, rack, zone and region",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const TopologyAffinityScorer>(
          TopologyLabels::of(parameters, parameters.text("topologyProducerName")));
    },
    .stability = Stability::kAlpha,
    .inputs = "topology labels; the endpoint of the other stage",
    .no_data = "an endpoint without a label in common scores 0, as do all without an endpoint to be near to",
};

void TopologyAffinityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                   std::span<float> scores) const noexcept {
  if (!has_peer_place(input)) {
    std::ranges::fill(scores, 0.0F);
    return;
  }
  const FixedValue& peer = input.fixed[input.peer];
  for (std::size_t c = 0; c < candidates.size(); ++c)
    scores[c] = kScores[static_cast<std::size_t>(compare_places(peer, input.fixed[candidates[c]]))];
}

}  // namespace llmd::scheduling
