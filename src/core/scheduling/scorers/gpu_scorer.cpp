#include "scheduling/scorers/gpu_scorer.h"

#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec GpuScorer::kSpec{
    .type = "gpu-scorer",
    .kind = PluginKind::kScorer,
    .help = "1 - GPU use",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin { return std::make_unique<const GpuScorer>(); },
    .inputs = "the endpoint's GPU use, 0..1",
    .ours = true,
};

void GpuScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                      std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kGpuUse, [](float use) { return 1.0F - use; });
}

}  // namespace llmd::scheduling
