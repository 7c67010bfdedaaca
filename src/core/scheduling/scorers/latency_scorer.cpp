#include "scheduling/scorers/latency_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace llmd::scheduling {
namespace {

constexpr double kSteps = 100;  // scores are whole percents
constexpr std::string_view kMost = "most";
constexpr std::array<std::string_view, 2> kStrategies{"least", kMost};
constexpr std::array kParameters{
    ParameterSpec{.name = "ttftWeight",
                  .type = ParameterType::kNumber,
                  .number = 0.8,
                  .help = "how much the time to the first token counts"},
    ParameterSpec{.name = "tpotWeight",
                  .type = ParameterType::kNumber,
                  .number = 0.2,
                  .help = "how much the time per token counts; 0 for answers that are not streamed"},
    ParameterSpec{.name = "headroomSelectionStrategy",
                  .type = ParameterType::kText,
                  .text = "least",
                  .choices = kStrategies,
                  .help = "least: near the objectives, to save room elsewhere; most: far below them, to be safe"},
    ParameterSpec{.name = "compositeKVWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "without predictions: how much free KV memory counts"},
    ParameterSpec{.name = "compositeQueueWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "without predictions: how much a short queue counts"},
    ParameterSpec{.name = "compositePrefixWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "without predictions: how much a cached prompt counts"},
    ParameterSpec{.name = "latencyPredictionInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the predicted-latency-producer to read; empty: the only one",
                  .refers = PluginKind::kDataProducer},
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer that says what is cached; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

/// The smallest and largest |headroom| of a dimension in a group.
class Spread {
 public:
  void add(double headroom) noexcept {
    least_ = std::min(least_, std::abs(headroom));
    most_ = std::max(most_, std::abs(headroom));
  }
  [[nodiscard]] bool flat() const noexcept { return !(most_ - least_ > kFlat); }
  [[nodiscard]] double place(double headroom) const noexcept {
    return flat() ? 0.5 : (std::abs(headroom) - least_) / (most_ - least_);
  }

 private:
  static constexpr double kFlat = 1e-9;
  double least_ = std::numeric_limits<double>::max();
  double most_ = 0;
};

double share(std::uint32_t part, std::size_t whole) noexcept {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

constinit const PluginSpec LatencyScorer::kSpec{
    .type = "latency-scorer",
    .kind = PluginKind::kScorer,
    .help = "predicted latencies against the request's objectives; KV, queue and prefix without predictions",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(LatencyRules rules, latency_rules(parameters));
      return std::make_unique<const LatencyScorer>(
          std::move(rules), Options{.ttft_weight = parameters.number("ttftWeight"),
                                    .tpot_weight = parameters.number("tpotWeight"),
                                    .most_headroom = parameters.text("headroomSelectionStrategy") == kMost,
                                    .kv_weight = parameters.number("compositeKVWeight"),
                                    .queue_weight = parameters.number("compositeQueueWeight"),
                                    .prefix_weight = parameters.number("compositePrefixWeight")});
    },
    .inputs = "predicted TTFT and TPOT, requests in flight; KV usage, waiting requests, cached prompt; the objectives",
    .no_data =
        "an endpoint without a prediction counts as one that just meets the objectives, as in llm-d; if there is "
        "no prediction at all, one without KV usage or queue has the scheduler's stand-in",
    .reads_prefixes = true,
};

LatencyScorer::LatencyScorer(LatencyRules rules, Options options) noexcept
    : rules_{std::move(rules)}, options_{options} {
  const double latency = options.ttft_weight + options.tpot_weight;
  options_.ttft_weight = latency > 0 ? options.ttft_weight / latency : 1.0;
  options_.tpot_weight = latency > 0 ? options.tpot_weight / latency : 0.0;
  const double composite = options.kv_weight + options.queue_weight + options.prefix_weight;
  options_.kv_weight = composite > 0 ? options.kv_weight / composite : 1.0;
  options_.queue_weight = composite > 0 ? options.queue_weight / composite : 0.0;
  options_.prefix_weight = composite > 0 ? options.prefix_weight / composite : 0.0;
}

MetricSet LatencyScorer::consumes() const noexcept {
  return MetricSet{Metric::kPrediction} | Metric::kInflight | Metric::kKvUsage | Metric::kWaiting |
         Metric::kPrefixMatch;
}

LatencyScorer::Judged LatencyScorer::judge(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  const auto headroom = latency_headroom(rules_, input, endpoint, AbsentObjective::kZero);
  if (!headroom) return {Group::kMet, {}};
  if (headroom->positive()) return {Group::kMet, *headroom};
  if (input.inflight_requests(endpoint) == 0) return {Group::kIdle, *headroom};
  if (headroom->ttft_ms >= 0) return {Group::kMissesTpot, *headroom};
  return {headroom->tpot_ms >= 0 ? Group::kMissesTtft : Group::kMissesBoth, *headroom};
}

void LatencyScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                          std::span<float> scores) const noexcept {
  Group best = Group::kNobody;
  bool predicted = false;
  for (const EndpointIndex i : candidates) {
    predicted = predicted || latency_headroom(rules_, input, i).has_value();
    best = std::min(best, judge(input, i).group);
  }
  if (predicted) {
    score_group(input, best, candidates, scores);
  } else {
    score_composite(input, candidates, scores);
  }
}

void LatencyScorer::score_group(const PluginInput& input, Group group, std::span<const EndpointIndex> candidates,
                                std::span<float> scores) const noexcept {
  Spread ttft;
  Spread tpot;
  for (const EndpointIndex i : candidates) {
    const Judged judged = judge(input, i);
    if (judged.group != group) continue;
    ttft.add(judged.headroom.ttft_ms);
    tpot.add(judged.headroom.tpot_ms);
  }
  double ttft_weight = options_.ttft_weight;
  // What is the same everywhere would only press the scores together.
  if (ttft.flat() != tpot.flat()) ttft_weight = ttft.flat() ? 0.0 : 1.0;
  const double tpot_weight = ttft.flat() != tpot.flat() ? 1.0 - ttft_weight : options_.tpot_weight;
  const bool most = options_.most_headroom && group == Group::kMet;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const Judged judged = judge(input, candidates[c]);
    const double away =
        ttft_weight * ttft.place(judged.headroom.ttft_ms) + tpot_weight * tpot.place(judged.headroom.tpot_ms);
    const double steps = std::trunc((most ? away : 1.0 - away) * kSteps) + 1.0;
    scores[c] = judged.group == group ? static_cast<float>(steps / kSteps) : 0.0F;
  }
}

void LatencyScorer::score_composite(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                    std::span<float> scores) const noexcept {
  std::uint32_t most = 0;
  for (const EndpointIndex i : candidates)
    most = std::max(most, input.fresh(input.endpoints[i].waiting_requests).value_or(0));
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const EndpointIndex i = candidates[c];
    const auto waiting = input.fresh(input.endpoints[i].waiting_requests);
    const auto usage = input.fresh(input.endpoints[i].kv_usage);
    if ((!waiting && options_.queue_weight > 0) || (!usage && options_.kv_weight > 0)) {
      scores[c] = kNoData;
      continue;
    }
    const double room = 1.0 - usage.value_or(0.0F);
    const double queue = most == 0 ? 1.0 : share(most - waiting.value_or(0), most);
    const double prefix =
        input.matched_blocks.empty() ? 0.0 : share(input.matched_blocks[i], input.request.prefix.hashes.size());
    const double sum = options_.kv_weight * room + options_.queue_weight * queue + options_.prefix_weight * prefix;
    scores[c] = static_cast<float>(std::round(sum * kSteps) / kSteps);
  }
}

}  // namespace llmd::scheduling
