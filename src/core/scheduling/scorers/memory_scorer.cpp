#include "scheduling/scorers/memory_scorer.h"

#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec MemoryScorer::kSpec{
    .type = "memory-scorer",
    .kind = PluginKind::kScorer,
    .help = "1 - memory use",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const MemoryScorer>(); },
    .inputs = "the endpoint's memory use, 0..1",
    .ours = true,
};

void MemoryScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                         std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kMemoryUse, [](float use) { return 1.0F - use; });
}

}  // namespace llmd::scheduling
