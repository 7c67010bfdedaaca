#include "scheduling/scorers/cold_start_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "warmupSeconds",
                  .type = ParameterType::kNumber,
                  .number = 60,
                  .max = 86'400,
                  .help = "seconds from ready to the full score; higher: new endpoints get traffic more slowly"},
    ParameterSpec{.name = "floor",
                  .type = ParameterType::kNumber,
                  .number = 0.1,
                  .max = 1,
                  .help = "score of an endpoint that has just become ready"},
};

std::optional<float> ready_seconds(const PluginInput& input, EndpointIndex i) noexcept {
  const EndpointState& state = input.endpoints[i];
  if (state.signals == nullptr) return std::nullopt;
  const Reading<float>& reading = (*state.signals)[Signal::kReadySeconds];
  if (!reading.value || !std::isfinite(*reading.value) || *reading.value < 0) return std::nullopt;
  return *reading.value + static_cast<float>(to_seconds(std::max(Duration{}, input.now - reading.at)));
}

}  // namespace

constinit const PluginSpec ColdStartScorer::kSpec{
    .type = "cold-start-scorer",
    .kind = PluginKind::kScorer,
    .help = "spares endpoints that have just become ready",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ColdStartScorer>(
          Options{.warmup_seconds = parameters.real("warmupSeconds"), .floor = parameters.real("floor")});
    },
    .inputs = "seconds since the endpoint became ready",
    .no_data = "an old reading counts, with its age added; without any, the scheduler's stand-in",
    .ours = true,
};

void ColdStartScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                            std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> ready = ready_seconds(input, candidates[c]);
    if (!ready) {
      scores[c] = kNoData;
    } else {
      const float warmed = *ready >= options_.warmup_seconds ? 1.0F : *ready / options_.warmup_seconds;
      scores[c] = options_.floor + (1.0F - options_.floor) * warmed;
    }
  }
}

}  // namespace llmd::scheduling
