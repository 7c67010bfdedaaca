#include "scheduling/scorers/expected_latency_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "ttftObjectiveMs",
                  .type = ParameterType::kNumber,
                  .number = 2'000,
                  .min = 1,
                  .help = "hoped-for time to the first token of requests that bring none, in ms"},
    ParameterSpec{.name = "tpotObjectiveMs",
                  .type = ParameterType::kNumber,
                  .number = 50,
                  .min = 0.1,
                  .help = "hoped-for time per token of requests that bring none, in ms"},
    ParameterSpec{.name = "missWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "how much the chance to miss an objective counts beside the latencies"},
    ParameterSpec{.name = "harmWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "how much it counts what others lose; 0: each for itself"},
};

constexpr float kObjectiveMinMs = 0.1F;
constexpr float kShareMax = 0.9F;  // a queue that is nearly full delays a tenfold

/// The chance that what is expected as mean and deviation comes out above the limit: logistic, near enough to normal.
float chance_above(float limit, float mean, float deviation) noexcept {
  const float z = (mean - limit) / std::max(deviation, 0.05F * limit);
  return 1.0F / (1.0F + std::exp(-1.7F * std::clamp(z, -20.0F, 20.0F)));
}

}  // namespace

constinit const PluginSpec ExpectedLatencyScorer::kSpec{
    .type = "expected-latency-scorer",
    .kind = PluginKind::kScorer,
    .help = "least expected cost: own latency against the objectives, and what others there lose",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ExpectedLatencyScorer>(
          Options{.ttft_objective_ms = parameters.number("ttftObjectiveMs"),
                  .tpot_objective_ms = parameters.number("tpotObjectiveMs"),
                  .miss_weight = parameters.number("missWeight"),
                  .harm_weight = parameters.number("harmWeight")});
    },
    .inputs = "predicted TTFT and TPOT with their deviations, requests in flight, cached tokens; the objectives",
    .no_data = "an endpoint of a class with too few observations has the scheduler's stand-in",
    .ours = true,
    .reads_prefixes = true,
};

void ExpectedLatencyScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                  std::span<float> scores) const noexcept {
  // What a request hopes for itself says nothing of what others hope for.
  const auto others_ttft_limit = static_cast<float>(options_.ttft_objective_ms);
  const auto others_tpot_limit = static_cast<float>(options_.tpot_objective_ms);
  const float ttft_limit = std::max(kObjectiveMinMs, input.request.slo_ttft_ms.value_or(others_ttft_limit));
  const float tpot_limit = std::max(kObjectiveMinMs, input.request.slo_tpot_ms.value_or(others_tpot_limit));
  const auto miss_weight = static_cast<float>(options_.miss_weight);
  const auto harm_weight = static_cast<float>(options_.harm_weight);
  float least = std::numeric_limits<float>::max();
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const EndpointIndex i = candidates[c];
    if (i >= input.predictions.size() || !input.predictions[i].known) {
      scores[c] = kNoData;
      continue;
    }
    const LatencyPrediction& p = input.predictions[i];
    const float others = static_cast<float>(input.inflight_requests(i));
    const float output = std::max(1.0F, p.output_tokens);
    const float own = p.ttft_ms / ttft_limit + p.tpot_ms / tpot_limit;
    const float miss = 1.0F - (1.0F - chance_above(ttft_limit, p.ttft_ms, p.ttft_deviation_ms)) *
                                  (1.0F - chance_above(tpot_limit, p.tpot_ms, p.tpot_deviation_ms));
    // Each of the others waits once for this prompt, which its tokens share, and each of its tokens for one sequence
    // more. Who comes while the prompt is computed, or while the queue it lengthens drains, waits for half of it.
    const float later = p.arrivals_per_s * p.prefill_ms / 1'000.0F / (1.0F - std::min(kShareMax, p.prefill_share));
    const float harm = others * (p.prefill_ms / output + p.sequence_ms) / others_tpot_limit +
                       0.5F * later * p.prefill_ms / others_ttft_limit;
    const float cost = own + miss_weight * miss + harm_weight * harm;
    scores[c] = cost;
    least = std::min(least, cost);
  }
  for (float& score : scores) {
    if (!std::isnan(score)) score = score > 0 ? least / score : 1.0F;
  }
}

}  // namespace llmd::scheduling
