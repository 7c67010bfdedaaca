#include "scheduling/scorers/error_rate_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "steepness",
                  .type = ParameterType::kNumber,
                  .number = 4,
                  .min = 0.1,
                  .max = 100,
                  .help = "exponent; 1 is the share that succeeds; higher: few failures cost more"},
};

}  // namespace

constinit const PluginSpec ErrorRateScorer::kSpec{
    .type = "error-rate-scorer",
    .kind = PluginKind::kScorer,
    .help = "few failed requests of late",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ErrorRateScorer>(Options{.steepness = parameters.real("steepness")});
    },
    .inputs = "share of requests that failed of late, 0..1",
    .ours = true,
};

void ErrorRateScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                            std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kErrorRate,
               [this](float rate) { return std::pow(std::max(0.0F, 1.0F - rate), options_.steepness); });
}

}  // namespace llmd::scheduling
