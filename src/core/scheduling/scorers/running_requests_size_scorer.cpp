#include "scheduling/scorers/running_requests_size_scorer.h"

#include "scheduling/scorers/min_max.h"

namespace llmd::scheduling {

constinit const PluginSpec RunningRequestsSizeScorer::kSpec{
    .type = "running-requests-size-scorer",
    .kind = PluginKind::kScorer,
    .help = "few running requests, min-max over the candidates",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const RunningRequestsSizeScorer>();
    },
};

void RunningRequestsSizeScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                      std::span<float> scores) const noexcept {
  score_min_max(candidates, scores, [&](EndpointIndex i) { return input.fresh(input.endpoints[i].running_requests); });
}

}  // namespace llmd::scheduling
