#include "eppmetrics/prediction_metrics.h"

#include <fmt/format.h>

#include "eppmetrics/plugin_families.h"

namespace llmd::eppmetrics {

PredictionSeries::Half PredictionSeries::make(MetricsRegistry& registry, const std::array<std::string_view, 4>& values,
                                              Which which) {
  const bool first = which == kFirst;
  const std::string_view name = first ? "ttft" : "tpot";
  const auto typed = [&](std::string_view type) {
    return std::array{values[0], values[1], values[2], values[3], type};
  };
  const std::array model{values[2], values[3]};
  return {
      .predicted = histogram_of(registry, first ? kPredictedTtft : kPredictedTpot, values),
      .prediction_took = histogram_of(registry, first ? kTtftPredictionDuration : kTpotPredictionDuration, values),
      .seen = histogram_of(registry, first ? kSeenTtft : kSeenTpot, model),
      .last = gauge_of(registry, kRequestMetric, typed(name)),
      .last_predicted = gauge_of(registry, kRequestMetric, typed(fmt::format("predicted_{}", name))),
      .last_took = gauge_of(registry, kRequestMetric, typed(fmt::format("{}_prediction_duration", name))),
      .last_violation = gauge_of(registry, kRequestMetric, typed(fmt::format("{}_slo_violation", name))),
      .violations = counter_of(registry, kSloViolations, typed(name)),
  };
}

PredictionSeries::PredictionSeries(MetricsRegistry& registry, const PluginName& plugin, std::string_view model,
                                   std::string_view target_model)
    : first_{make(registry, {plugin.name, plugin.type, model, target_model}, kFirst)},
      token_{make(registry, {plugin.name, plugin.type, model, target_model}, kToken)} {}

void PredictionSeries::made(Duration took) {
  for (Half* half : {&first_, &token_}) {
    half->prediction_took.observe(to_seconds(took));
    half->last_took.set(to_seconds(took));
  }
}

void PredictionSeries::first_token(double ttft, const Promise& promise) {
  saw(first_, ttft, promise.ttft, promise.ttft_objective);
}

void PredictionSeries::tokens(double tpot, const Promise& promise) {
  saw(token_, tpot, promise.tpot, promise.tpot_objective);
}

void PredictionSeries::saw(Half& half, double seen, std::optional<double> predicted, std::optional<double> objective) {
  half.seen.observe(seen);
  half.last.set(seen);
  if (predicted) {
    half.predicted.observe(*predicted);
    half.last_predicted.set(*predicted);
  }
  if (!objective) return;
  const bool violated = seen > *objective;
  half.last_violation.set(violated ? 1 : 0);
  if (violated) half.violations.add();
}

}  // namespace llmd::eppmetrics
