#include "scheduling/filters/session_affinity_filter.h"

#include "scheduling/filters/keep_if.h"
#include "scheduling/session_affinity_parameters.h"

namespace llmd::scheduling {

constinit const PluginSpec SessionAffinityFilter::kSpec{
    .type = "session-affinity-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps the endpoint that the request's session had before, all if it had none",
    .parameters = kSessionAffinityParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(SessionAffinity affinity, SessionAffinity::make("session-affinity-filter", parameters));
      return std::make_unique<const SessionAffinityFilter>(std::move(affinity));
    },
    .stability = Stability::kAlpha,
    .inputs = "the session that request headers name; where it went before",
    .no_data = "a request without a session may go everywhere",
};

constinit const PluginSpec SessionAffinityFilter::kMulticlusterSpec{
    .type = "multicluster-session-affinity-filter",
    .kind = PluginKind::kFilter,
    .help = "the same of clusters",
    .parameters = kSessionAffinityParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(SessionAffinity affinity, SessionAffinity::make("multicluster-session-affinity-filter", parameters));
      return std::make_unique<const SessionAffinityFilter>(std::move(affinity));
    },
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
    .inputs = "the session that request headers name; where it went before",
    .no_data = "a request without a session may go everywhere",
};

std::size_t SessionAffinityFilter::filter(const PluginInput& input,
                                          std::span<EndpointIndex> candidates) const noexcept {
  const std::optional<EndpointIndex> bound = affinity().bound(input, candidates);
  return bound ? keep_if(candidates, [&](EndpointIndex i) { return i == *bound; }) : candidates.size();
}

std::string SessionAffinityFilter::reason(const PluginInput& /*input*/, EndpointIndex /*endpoint*/) const {
  return "the request's session is bound to another endpoint";
}

}  // namespace llmd::scheduling
