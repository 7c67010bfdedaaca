#include "scheduling/scorers/network_latency_scorer.h"

#include <array>
#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "halfScoreMs",
                  .type = ParameterType::kNumber,
                  .number = 10,
                  .min = 0.001,
                  .max = 60000,
                  .help = "milliseconds; the round trip that scores 0.5; higher: latency counts less"},
};

}  // namespace

constinit const PluginSpec NetworkLatencyScorer::kSpec{
    .type = "network-latency-scorer",
    .kind = PluginKind::kScorer,
    .help = "short round trip from here",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const NetworkLatencyScorer>(Options{.half_score_ms = parameters.real("halfScoreMs")});
    },
    .inputs = "round trip from here in milliseconds",
    .ours = true,
};

void NetworkLatencyScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                 std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kLatencyMs,
               [this](float latency_ms) { return falling_score(latency_ms, options_.half_score_ms); });
}

}  // namespace llmd::scheduling
