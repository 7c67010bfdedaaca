#include "scheduling/scorers/expected_latency_scorer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmd::scheduling {
namespace {

/// Of those that may prefill, the one where it costs least to compute the prompt.
EndpointIndex cheapest_prefill(const ExpectedCost& cost, std::span<const EndpointIndex> prefills) noexcept {
  EndpointIndex cheapest = kNoEndpointIndex;
  float least = std::numeric_limits<float>::max();
  for (const EndpointIndex p : prefills) {
    if (!cost.here_known(p)) continue;
    const float here = cost.here(p);
    if (here < least) {
      least = here;
      cheapest = p;
    }
  }
  return cheapest;
}

}  // namespace

constinit const PluginSpec ExpectedLatencyScorer::kSpec{
    .type = "expected-latency-scorer",
    .kind = PluginKind::kScorer,
    .help = "least expected cost: own latency against the objectives, and what others there lose",
    .parameters = kCostParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ExpectedLatencyScorer>(read_cost_options(parameters));
    },
    .inputs = "predicted TTFT and TPOT with their deviations, requests in flight, cached tokens; the objectives",
    .no_data = "an endpoint of a class with too few observations has the scheduler's stand-in",
    .ours = true,
    .reads_prefixes = true,
};

void ExpectedLatencyScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                  std::span<float> scores) const noexcept {
  const ExpectedCost cost{options_, input};
  const EndpointIndex prefill = cheapest_prefill(cost, input.prefills);
  float least = std::numeric_limits<float>::max();
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const EndpointIndex i = candidates[c];
    float lower = kNoData;
    if (cost.here_known(i)) lower = cost.here(i);
    if (prefill != kNoEndpointIndex && prefill != i && cost.apart_known(prefill, i))
      lower = std::fmin(lower, cost.apart(prefill, i, {}));
    scores[c] = lower;
    if (!std::isnan(lower)) least = std::min(least, lower);
  }
  for (float& score : scores) {
    if (!std::isnan(score)) score = score > 0 ? least / score : 1.0F;
  }
}

}  // namespace llmd::scheduling
