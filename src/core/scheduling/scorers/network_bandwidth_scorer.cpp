#include "scheduling/scorers/network_bandwidth_scorer.h"

#include <array>
#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "halfScoreMegabytesPerSecond",
                  .type = ParameterType::kNumber,
                  .number = 1000,
                  .min = 0.001,
                  .max = 1000000.0,
                  .help = "megabytes a second; the bandwidth that scores 0.5; lower: bandwidth counts less"},
};

}  // namespace

constinit const PluginSpec NetworkBandwidthScorer::kSpec{
    .type = "network-bandwidth-scorer",
    .kind = PluginKind::kScorer,
    .help = "wide path from here",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const NetworkBandwidthScorer>(
          Options{.half_score = parameters.real("halfScoreMegabytesPerSecond")});
    },
    .inputs = "bandwidth from here in megabytes a second",
    .ours = true,
};

void NetworkBandwidthScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                   std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kBandwidthMbps,
               [this](float bandwidth) { return 1.0F - falling_score(bandwidth, options_.half_score); });
}

}  // namespace llmd::scheduling
