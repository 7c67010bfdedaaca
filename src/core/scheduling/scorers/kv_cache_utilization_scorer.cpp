#include "scheduling/scorers/kv_cache_utilization_scorer.h"

namespace llmd::scheduling {

constinit const PluginSpec KvCacheUtilizationScorer::kSpec{
    .type = "kv-cache-utilization-scorer",
    .kind = PluginKind::kScorer,
    .help = "free KV cache: 1 - used share",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const KvCacheUtilizationScorer>();
    },
};

void KvCacheUtilizationScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                     std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> usage = input.fresh(input.endpoints[candidates[c]].kv_usage);
    scores[c] = usage ? 1.0F - *usage : kNoData;
  }
}

}  // namespace llmd::scheduling
