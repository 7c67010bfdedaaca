#include "scheduling/scorers/network_loss_scorer.h"

#include <array>
#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "halfScoreLoss",
                  .type = ParameterType::kNumber,
                  .number = 0.01,
                  .min = 1e-06,
                  .max = 1,
                  .help = "share of packets; the loss that scores 0.5; higher: loss counts less"},
};

}  // namespace

constinit const PluginSpec NetworkLossScorer::kSpec{
    .type = "network-loss-scorer",
    .kind = PluginKind::kScorer,
    .help = "few lost packets from here",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const NetworkLossScorer>(Options{.half_score_loss = parameters.real("halfScoreLoss")});
    },
    .inputs = "share of packets lost from here, 0..1",
    .ours = true,
};

void NetworkLossScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                              std::span<float> scores) const noexcept {
  score_signal(input, candidates, scores, Signal::kPacketLoss,
               [this](float loss) { return falling_score(loss, options_.half_score_loss); });
}

}  // namespace llmd::scheduling
