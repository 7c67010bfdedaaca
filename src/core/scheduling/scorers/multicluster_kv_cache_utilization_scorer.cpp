#include "scheduling/scorers/multicluster_kv_cache_utilization_scorer.h"

#include "scheduling/endpoint_attribute.h"

namespace llmd::scheduling {

constinit const PluginSpec MulticlusterKvCacheUtilizationScorer::kSpec{
    .type = "multicluster-kv-cache-utilization-scorer",
    .kind = PluginKind::kScorer,
    .help = "free share of the cluster's KV memory",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const MulticlusterKvCacheUtilizationScorer>();
    },
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
    .inputs = "attribute llm-d.ai/multicluster-kv-cache-utilization",
};

void MulticlusterKvCacheUtilizationScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                                 std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> use =
        named_attribute(input, candidates[c], "llm-d.ai/multicluster-kv-cache-utilization");
    scores[c] = use ? 1 - *use : kNoData;
  }
}

}  // namespace llmd::scheduling
