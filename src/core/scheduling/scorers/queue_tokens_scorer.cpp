#include "scheduling/scorers/queue_tokens_scorer.h"

#include <algorithm>
#include <memory>

#include "scheduling/scorers/min_max.h"
#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec QueueTokensScorer::kSpec{
    .type = "queue-tokens-scorer",
    .kind = PluginKind::kScorer,
    .help = "few prompt tokens waiting, min-max over the candidates",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const QueueTokensScorer>();
    },
    .inputs = "prompt tokens that wait at the engine, tokens in flight from here",
    .ours = true,
};

void QueueTokensScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                              std::span<float> scores) const noexcept {
  // Without the engine's number ours alone would make an endpoint look emptier than those that tell.
  score_min_max(candidates, scores, [&](EndpointIndex i) -> std::optional<float> {
    const std::optional<float> queued = usable_signal(input, i, Signal::kQueuedTokens);
    if (!queued) return std::nullopt;
    return std::max(*queued, static_cast<float>(input.inflight_tokens(i)));
  });
}

}  // namespace llmd::scheduling
