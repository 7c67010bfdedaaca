#include "scheduling/filters/prefix_cache_affinity_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::string_view kPredictor = "latencyPredictor";
constexpr std::array<std::string_view, 2> kSources{"prefillThroughput", kPredictor};
constexpr ParameterSpec producer_name(std::string_view name, std::string_view help) {
  return {.name = name,
          .type = ParameterType::kText,
          .help = help,
          .support = Support::kNoEffect,
          .refers = PluginKind::kDataProducer};
}
constexpr std::array kParameters{
    ParameterSpec{.name = "affinityThreshold",
                  .type = ParameterType::kNumber,
                  .number = 0.8,
                  .min = -1e15,
                  .max = 1,
                  .help = "share of the prompt that a sticky endpoint holds; 0 or less keeps all"},
    ParameterSpec{.name = "explorationProbability",
                  .type = ParameterType::kNumber,
                  .max = 1,
                  .help = "how often all are kept, so that other endpoints come to hold the prefix, too"},
    ParameterSpec{.name = "maxTTFTPenaltyMs",
                  .type = ParameterType::kNumber,
                  .number = 18'000,
                  .help = "ms; how much later than elsewhere the first token may come. 0: however much"},
    ParameterSpec{.name = "ttftSource",
                  .type = ParameterType::kText,
                  .text = kSources[0],
                  .choices = kSources,
                  .help = "where the time to the first token comes from"},
    ParameterSpec{.name = "peakPrefillThroughput",
                  .type = ParameterType::kNumber,
                  .number = 15'928,
                  .help = "tokens a second, for prefillThroughput; higher sticks under more load"},
    producer_name("prefixMatchInfoProducerName", "the producer of prefix matches; empty: the only one"),
    producer_name("latencyPredictionInfoProducerName", "the producer of predictions; empty: the only one"),
    producer_name("inFlightLoadProducerName", "the producer of tokens in flight; the pool always counts them"),
};

MadePlugin make(const ParameterReader& parameters) {
  const PrefixCacheAffinityFilter::Options options{.ratio_min = parameters.number("affinityThreshold"),
                                                   .exploration = parameters.number("explorationProbability"),
                                                   .penalty_ms_max = parameters.number("maxTTFTPenaltyMs"),
                                                   .tokens_per_s = parameters.number("peakPrefillThroughput"),
                                                   .predicted = parameters.text("ttftSource") == kPredictor};
  if (!options.predicted && options.penalty_ms_max > 0 && options.tokens_per_s == 0) {
    return fail(ErrorCode::kConfigInvalid,
                "prefix-cache-affinity-filter: peakPrefillThroughput is 0; expected more with ttftSource "
                "prefillThroughput",
                "tokens a second, or maxTTFTPenaltyMs: 0");
  }
  return std::make_unique<const PrefixCacheAffinityFilter>(options);
}

double matched_ratio(const PluginInput& input, EndpointIndex endpoint) noexcept {
  const std::size_t total = input.request.prefix.hashes.size();
  if (total == 0 || input.matched_blocks.empty()) return 0;
  return static_cast<double>(input.matched_blocks[endpoint]) / static_cast<double>(total);
}

}  // namespace

constinit const PluginSpec PrefixCacheAffinityFilter::kSpec{
    .type = "prefix-cache-affinity-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints that hold most of the prompt, unless they are too loaded",
    .parameters = kParameters,
    .make = make,
    .inputs = "prefix matches; tokens in flight, or predicted TTFT",
    .no_data = "without a prediction an endpoint counts as the slowest",
    .reads_prefixes = true,
};

double PrefixCacheAffinityFilter::ttft_ms(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  if (!options_.predicted) return static_cast<double>(input.inflight_tokens(endpoint)) / options_.tokens_per_s * 1'000;
  const bool known = !input.predictions.empty() && input.predictions[endpoint].known &&
                     !std::isnan(input.predictions[endpoint].ttft_ms);
  return known ? static_cast<double>(input.predictions[endpoint].ttft_ms) : std::numeric_limits<double>::max();
}

bool PrefixCacheAffinityFilter::keeps_all(const PluginInput& input,
                                          std::span<const EndpointIndex> candidates) const noexcept {
  if (candidates.size() <= 1 || options_.ratio_min <= 0 || input.chance < options_.exploration) return true;
  double best_sticky = std::numeric_limits<double>::max();
  double best_other = std::numeric_limits<double>::max();
  std::size_t sticky = 0;
  for (const EndpointIndex i : candidates) {
    const bool sticks = matched_ratio(input, i) >= options_.ratio_min;
    if (sticks) ++sticky;
    if (options_.penalty_ms_max <= 0) continue;
    double& best = sticks ? best_sticky : best_other;
    best = std::min(best, ttft_ms(input, i));
  }
  if (sticky == 0 || sticky == candidates.size()) return true;
  return options_.penalty_ms_max > 0 && best_sticky - best_other > options_.penalty_ms_max;
}

std::size_t PrefixCacheAffinityFilter::filter(const PluginInput& input,
                                              std::span<EndpointIndex> candidates) const noexcept {
  if (keeps_all(input, candidates)) return candidates.size();
  return keep_if(candidates, [&](EndpointIndex i) { return matched_ratio(input, i) >= options_.ratio_min; });
}

std::string PrefixCacheAffinityFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  return fmt::format("holds {:.0f}% of the prompt; others hold the wanted {:.0f}%",
                     matched_ratio(input, endpoint) * 100, options_.ratio_min * 100);
}

}  // namespace llmd::scheduling
