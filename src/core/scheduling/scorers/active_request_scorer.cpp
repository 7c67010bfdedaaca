#include "scheduling/scorers/active_request_scorer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "idleThreshold",
                  .type = ParameterType::kInteger,
                  .number = 0,
                  .max = 1'000'000,
                  .help = "requests; an endpoint with at most so many in flight scores 1"},
    ParameterSpec{.name = "maxBusyScore",
                  .type = ParameterType::kNumber,
                  .number = 1.0,
                  .max = 1.0,
                  .help = "the score of a busy endpoint is at most this; lower prefers idle ones more strongly"},
    ParameterSpec{.name = "inFlightLoadProducerName",
                  .type = ParameterType::kText,
                  .help = "accepted without effect: the pool always counts what is in flight",
                  .refers = PluginKind::kDataProducer},
    ParameterSpec{
        .name = "requestTimeout", .type = ParameterType::kText, .help = "accepted without effect, as in llm-d"},
};

}  // namespace

constinit const PluginSpec ActiveRequestScorer::kSpec{
    .type = "active-request-scorer",
    .kind = PluginKind::kScorer,
    .help = "few requests in flight from here",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ActiveRequestScorer>(
          Options{.idle_threshold = static_cast<std::uint32_t>(parameters.integer("idleThreshold")),
                  .busy_score_max = static_cast<float>(parameters.number("maxBusyScore"))});
    },
};

void ActiveRequestScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                std::span<float> scores) const noexcept {
  std::uint32_t most = 0;
  for (const EndpointIndex i : candidates) most = std::max(most, input.inflight_requests(i));
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::uint32_t inflight = input.inflight_requests(candidates[c]);
    scores[c] = inflight <= options_.idle_threshold
                    ? 1.0F
                    : static_cast<float>(most - inflight) / static_cast<float>(most) * options_.busy_score_max;
  }
}

}  // namespace llmd::scheduling
