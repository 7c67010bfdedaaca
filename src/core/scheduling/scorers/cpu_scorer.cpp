#include "scheduling/scorers/cpu_scorer.h"

#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec CpuScorer::kSpec{
    .type = "cpu-scorer",
    .kind = PluginKind::kScorer,
    .help = "1 - CPU use",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const CpuScorer>(); },
    .inputs = "the endpoint's CPU use, 0..1",
    .ours = true,
};

void CpuScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                      std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kCpuUse, [](float use) { return 1.0F - use; });
}

}  // namespace llmd::scheduling
