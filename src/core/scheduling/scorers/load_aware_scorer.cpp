#include "scheduling/scorers/load_aware_scorer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr double kThreshold = 128;
constexpr std::array kParameters{
    ParameterSpec{.name = "threshold",
                  .type = ParameterType::kInteger,
                  .number = kThreshold,
                  .min = -1e15,
                  .help = "waiting requests from which on an endpoint scores 0; 0 and less count as 128, as in llm-d"},
};

}  // namespace

constinit const PluginSpec LoadAwareScorer::kSpec{
    .type = "load-aware-scorer",
    .kind = PluginKind::kScorer,
    .help = "few waiting requests, against a fixed threshold; at most 0.5",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const double threshold = parameters.number("threshold");
      return std::make_unique<const LoadAwareScorer>(static_cast<float>(threshold > 0 ? threshold : kThreshold));
    },
    .inputs = "waiting requests",
};

void LoadAwareScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                            std::span<float> scores) const noexcept {
  constexpr float kMost = 0.5F;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const auto waiting = input.fresh(input.endpoints[candidates[c]].waiting_requests);
    scores[c] = waiting ? kMost * (1.0F - std::min(1.0F, static_cast<float>(*waiting) / threshold_)) : kNoData;
  }
}

}  // namespace llmd::scheduling
