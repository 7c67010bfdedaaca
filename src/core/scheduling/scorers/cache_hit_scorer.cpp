#include "scheduling/scorers/cache_hit_scorer.h"

#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec CacheHitScorer::kSpec{
    .type = "cache-hit-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of prompt tokens that the engine found cached",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const CacheHitScorer>();
    },
    .inputs = "the hit ratio that the engine reports, 0..1",
    .ours = true,
};

void CacheHitScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                           std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kCacheHitRatio, [](float ratio) { return ratio; });
}

}  // namespace llmd::scheduling
