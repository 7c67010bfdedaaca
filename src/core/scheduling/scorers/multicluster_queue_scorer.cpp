#include "scheduling/scorers/multicluster_queue_scorer.h"

#include "scheduling/endpoint_attribute.h"
#include "scheduling/scorers/min_max.h"

namespace llmd::scheduling {

constinit const PluginSpec MulticlusterQueueScorer::kSpec{
    .type = "multicluster-queue-scorer",
    .kind = PluginKind::kScorer,
    .help = "few waiting requests in the cluster, min-max over the candidates",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const MulticlusterQueueScorer>();
    },
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
    .inputs = "attribute llm-d.ai/multicluster-queue-size",
};

void MulticlusterQueueScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                    std::span<float> scores) const noexcept {
  score_min_max(candidates, scores,
                [&](EndpointIndex i) { return named_attribute(input, i, "llm-d.ai/multicluster-queue-size"); });
}

}  // namespace llmd::scheduling
