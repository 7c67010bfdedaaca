#include "scheduling/scorers/peer_link_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "scheduling/scorers/signal_scores.h"

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 2> kDirections{"to-peer", PeerLinkScorer::kFromPeer};
constexpr std::array kParameters{
    ParameterSpec{.name = "halfScoreSeconds",
                  .type = ParameterType::kNumber,
                  .number = 0.1,
                  .min = 1e-6,
                  .max = 3'600,
                  .help = "seconds; the transfer that scores 0.5; higher: the link counts less"},
    ParameterSpec{.name = "bytesPerToken",
                  .type = ParameterType::kNumber,
                  .number = 131'072,
                  .min = 1,
                  .max = 1e9,
                  .help = "bytes of KV a token over all layers; the default is that of an 8B model with 16-bit KV"},
    ParameterSpec{.name = "direction",
                  .type = ParameterType::kText,
                  .text = kDirections.front(),
                  .choices = kDirections,
                  .help = "where KV goes: to-peer in a prefill profile that runs after decode, from-peer in a decode "
                          "profile that runs after prefill"},
    ParameterSpec{.name = "readingAgeMax",
                  .type = ParameterType::kDuration,
                  .text = "60s",
                  .help = "older measurements of a link count as missing"},
};

}  // namespace

constinit const PluginSpec PeerLinkScorer::kSpec{
    .type = "peer-link-scorer",
    .kind = PluginKind::kScorer,
    .help = "fast transfer of the prompt's KV between the candidate and the endpoint of an earlier stage",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const PeerLinkScorer>(Options{.half_score_seconds = parameters.real("halfScoreSeconds"),
                                                            .bytes_per_token = parameters.real("bytesPerToken"),
                                                            .from_peer = parameters.text("direction") == kFromPeer,
                                                            .age_max = parameters.duration("readingAgeMax")});
    },
    .inputs = "latency, bandwidth and loss between endpoints; the prompt and its part that the receiver has cached",
    .ours = true,
};

std::optional<float> PeerLinkScorer::usable(const PluginInput& input, const Reading<float>& reading) const noexcept {
  if (!reading.value || input.now - reading.at > options_.age_max) return std::nullopt;
  return std::isfinite(*reading.value) && *reading.value >= 0 ? reading.value : std::nullopt;
}

std::optional<float> PeerLinkScorer::transfer_seconds(const PluginInput& input,
                                                      EndpointIndex candidate) const noexcept {
  const EndpointIndex sender = options_.from_peer ? input.peer : candidate;
  const EndpointIndex receiver = options_.from_peer ? candidate : input.peer;
  const std::uint32_t tokens = input.request.prompt_tokens - input.matched_tokens(receiver);
  if (candidate == input.peer || tokens == 0) return 0.0F;
  if (input.links == nullptr) return std::nullopt;
  const Link* link =
      input.links->find(input.endpoints[sender].endpoint->name, input.endpoints[receiver].endpoint->name);
  if (link == nullptr) return std::nullopt;
  const std::optional<float> latency_ms = usable(input, link->latency_ms);
  const std::optional<float> bandwidth_mbps = usable(input, link->bandwidth_mbps);
  if (!latency_ms || !bandwidth_mbps) return std::nullopt;
  const float delivered = 1.0F - std::min(1.0F, usable(input, link->loss).value_or(0.0F));
  // A link that carries nothing takes forever: the division by 0 is meant.
  return *latency_ms / 1e3F +
         static_cast<float>(tokens) * options_.bytes_per_token / (*bandwidth_mbps * 1e6F * delivered);
}

void PeerLinkScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                           std::span<float> scores) const noexcept {
  if (input.peer == kNoEndpointIndex) {
    std::ranges::fill(scores, kNoData);
    return;
  }
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> seconds_taken = transfer_seconds(input, candidates[c]);
    scores[c] = seconds_taken ? falling_score(*seconds_taken, options_.half_score_seconds) : kNoData;
  }
}

}  // namespace llmd::scheduling
