#include "scheduling/filters/slo_headroom_tier_filter.h"

#include <fmt/format.h>

#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "epsilonExploreNeg",
                  .type = ParameterType::kNumber,
                  .number = 0.01,
                  .max = 1,
                  .help = "how often endpoints that miss the objectives are kept instead"},
    ParameterSpec{.name = "latencyPredictionInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer of predictions; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

}  // namespace

constinit const PluginSpec SloHeadroomTierFilter::kSpec{
    .type = "slo-headroom-tier-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints that are predicted to meet the request's latency objectives",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(LatencyRules rules, latency_rules(parameters));
      return std::make_unique<const SloHeadroomTierFilter>(
          Options{.exploration = parameters.number("epsilonExploreNeg"), .rules = std::move(rules)});
    },
    .inputs = "predicted TTFT and TPOT; the request's objectives",
    .no_data = "counts as missing the objectives; all are kept if nothing is predicted",
};

bool SloHeadroomTierFilter::positive(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  const std::optional<LatencyHeadroom> headroom = latency_headroom(options_.rules, input, endpoint);
  return headroom && headroom->positive();
}

std::size_t SloHeadroomTierFilter::filter(const PluginInput& input,
                                          std::span<EndpointIndex> candidates) const noexcept {
  if (!has_latency_objective(options_.rules, input.request)) return candidates.size();
  const bool explores = input.chance < options_.exploration;
  const std::size_t total = candidates.size();
  std::size_t in_tier = 0;
  for (const EndpointIndex i : candidates) {
    if (positive(input, i)) ++in_tier;
  }
  if (in_tier == 0 || in_tier == total) return total;
  return keep_if(candidates, [&](EndpointIndex i) { return positive(input, i) != explores; });
}

std::string SloHeadroomTierFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const std::optional<LatencyHeadroom> headroom = latency_headroom(options_.rules, input, endpoint);
  if (!headroom) return "nothing is predicted; wanted one that meets the objectives";
  if (headroom->positive()) return "meets the objectives; this time one that does not is tried";
  const bool first_token = headroom->ttft_ms < 0;
  return fmt::format("{} is predicted {:.0f} ms too long; wanted one that meets the objectives",
                     first_token ? "TTFT" : "TPOT", -(first_token ? headroom->ttft_ms : headroom->tpot_ms));
}

}  // namespace llmd::scheduling
