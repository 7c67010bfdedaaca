#include "scheduling/scorers/queue_scorer.h"

#include "scheduling/scorers/min_max.h"

namespace llmd::scheduling {

constinit const PluginSpec QueueScorer::kSpec{
    .type = "queue-scorer",
    .kind = PluginKind::kScorer,
    .help = "few waiting requests, min-max over the candidates",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const QueueScorer>(); },
};

void QueueScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                        std::span<float> scores) const noexcept {
  score_min_max(candidates, scores, [&](EndpointIndex i) { return input.fresh(input.endpoints[i].waiting_requests); });
}

}  // namespace llmd::scheduling
