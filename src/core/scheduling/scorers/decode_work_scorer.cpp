#include "scheduling/scorers/decode_work_scorer.h"

#include <memory>

#include "scheduling/scorers/min_max.h"
#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {

constinit const PluginSpec DecodeWorkScorer::kSpec{
    .type = "decode-work-scorer",
    .kind = PluginKind::kScorer,
    .help = "few tokens left to decode, min-max over the candidates",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const DecodeWorkScorer>();
    },
    .inputs = "tokens that running sequences will probably still make",
    .ours = true,
};

void DecodeWorkScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                             std::span<float> scores) const noexcept {
  score_min_max(candidates, scores,
                [&](EndpointIndex i) { return usable_signal(input, i, Signal::kDecodeTokensLeft); });
}

}  // namespace llmd::scheduling
