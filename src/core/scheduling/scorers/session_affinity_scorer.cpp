#include "scheduling/scorers/session_affinity_scorer.h"

#include "scheduling/session_affinity_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec SessionAffinityScorer::kSpec{
    .type = "session-affinity-scorer",
    .kind = PluginKind::kScorer,
    .help = "the endpoint that the request's session had before",
    .parameters = kSessionAffinityParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(SessionAffinity affinity, SessionAffinity::make("session-affinity-scorer", parameters));
      return std::make_unique<const SessionAffinityScorer>(std::move(affinity));
    },
    .stability = Stability::kAlpha,
    .inputs = "the session that request headers name; where it went before",
    .no_data = "a request without a session scores 0 everywhere",
};

void SessionAffinityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                  std::span<float> scores) const noexcept {
  const std::optional<EndpointIndex> bound = affinity().bound(input, candidates);
  for (std::size_t c = 0; c < candidates.size(); ++c) scores[c] = bound == candidates[c] ? 1.0F : 0.0F;
}

}  // namespace llmd::scheduling
