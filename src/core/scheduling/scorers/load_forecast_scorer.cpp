#include "scheduling/scorers/load_forecast_scorer.h"

#include <algorithm>
#include <array>

#include "base/hash.h"
#include "forecast/make_forecaster.h"
#include "scheduling/scorers/min_max.h"

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 4> kModels{"ewma", "holt-winters", "ar", "lstm"};
constexpr std::array<std::string_view, 2> kLoads{"requests", "tokens"};
constexpr std::array kParameters{
    ParameterSpec{.name = "horizonSeconds",
                  .type = ParameterType::kInteger,
                  .number = 5,
                  .min = 1,
                  .max = forecast::Forecaster::kStepsMax,
                  .help = "how far ahead; about as long as requests last"},
    ParameterSpec{.name = "load",
                  .type = ParameterType::kText,
                  .text = "requests",
                  .choices = kLoads,
                  .help = "what in flight counts: requests, or prompt tokens without a first token yet"},
    ParameterSpec{.name = "model",
                  .type = ParameterType::kText,
                  .text = forecast::kDefaultForecaster,
                  .choices = kModels,
                  .help = "how it forecasts; lstm costs one decision a second 0.13 ms and 4 us an endpoint, the others "
                          "less than 0.4 us an endpoint"},
};

}  // namespace

constinit const PluginSpec LoadForecastScorer::kSpec{
    .type = "load-forecast-scorer",
    .kind = PluginKind::kScorer,
    .help =
        "little in flight some seconds from now, by a forecast that learns from each second, min-max over the "
        "candidates",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const std::string model = parameters.text("model");
      return std::make_unique<const LoadForecastScorer>(LoadForecasts::Options{
          .model = *std::ranges::find(kModels, model),  // it was checked; static text
          .load = parameters.text("load") == kLoads[0] ? LoadForecasts::Load::kRequests : LoadForecasts::Load::kTokens,
          .steps_ahead = parameters.count("horizonSeconds")});
    },
    .inputs = "requests or tokens in flight from here, sampled once a second",
    .no_data = "an endpoint that has not been sampled yet: stand-in",
    .ours = true,
};

FixedValue LoadForecastScorer::fixed_value(const Endpoint& endpoint) const { return {.ids = {xxh64(endpoint.name)}}; }

std::unique_ptr<PluginMemory> LoadForecastScorer::make_memory() const { return std::make_unique<LoadForecasts>(); }

void LoadForecastScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                               std::span<float> scores) const noexcept {
  if (input.memory == nullptr) {
    score_min_max(candidates, scores, [&](EndpointIndex i) -> std::optional<float> {
      return LoadForecasts::load_of(input, i, options_.load);
    });
    return;
  }
  auto& forecasts = static_cast<LoadForecasts&>(*input.memory);
  forecasts.sample(input, options_);
  forecasts.score(input, options_.load, candidates, scores);
}

}  // namespace llmd::scheduling
