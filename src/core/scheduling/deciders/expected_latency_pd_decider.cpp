#include "scheduling/deciders/expected_latency_pd_decider.h"

#include <algorithm>
#include <array>
#include <limits>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    kCostParameters[0],
    kCostParameters[1],
    kCostParameters[2],
    kCostParameters[3],
    ParameterSpec{.name = "nonCachedTokens",
                  .type = ParameterType::kInteger,
                  .number = 512,
                  .max = 1'000'000'000,
                  .help = "tokens; while the model has no data, a prefill leg needs at least so many uncached ones"},
    ParameterSpec{.name = "exploreShare",
                  .type = ParameterType::kNumber,
                  .number = 0.01,
                  .max = 0.5,
                  .help = "share of the requests that go the way that costs more, so that both stay known"},
};

constexpr double kExploreWithoutData = 0.125;

std::uint32_t thousandths(float cost) noexcept {
  return static_cast<std::uint32_t>(std::clamp(cost * 1'000.0F, 0.0F, 4e9F));
}

/// A way to serve the request, and what it costs.
struct Way {
  EndpointIndex decode = kNoEndpointIndex;
  EndpointIndex prefill = kNoEndpointIndex;
  float cost = std::numeric_limits<float>::max();
};

void take_if_less(Way& best, const Way& other) noexcept {
  if (other.cost < best.cost) best = other;
}

}  // namespace

constinit const PluginSpec ExpectedLatencyPdDecider::kSpec{
    .type = "expected-latency-pd-decider",
    .kind = PluginKind::kDecider,
    .help = "a prefill leg when that costs less; the pair of least expected cost, with the link between them",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const ExpectedLatencyPdDecider>(
          Options{.cost = read_cost_options(parameters),
                  .uncached_tokens_min = parameters.count("nonCachedTokens"),
                  .explore_share = parameters.number("exploreShare")});
    },
    .inputs = "predicted TTFT and TPOT of both legs, requests in flight, cached tokens, links; the objectives",
    .no_data = "while one of the legs has too few observations, a threshold decides",
    .ours = true,
    .reads_prefixes = true,
};

StageDecision ExpectedLatencyPdDecider::decide(const StageFacts& facts) const noexcept {
  const std::uint32_t uncached = facts.prompt_tokens - std::min(facts.prompt_tokens, facts.cached_tokens);
  if (uncached < options_.uncached_tokens_min)
    return {StageRoute::kSkip, "no-data-short", uncached, options_.uncached_tokens_min};
  return {StageRoute::kRun, "no-data-long", uncached, options_.uncached_tokens_min};
}

PairDecision ExpectedLatencyPdDecider::by_threshold(const PluginInput& input, EndpointIndex decode, bool here_known,
                                                    bool apart_known) const noexcept {
  PairDecision pair{
      .route = decide({.prompt_tokens = input.request.prompt_tokens, .cached_tokens = input.matched_tokens(decode)}),
      .decode = decode};
  const bool ran = pair.route.route == StageRoute::kRun;
  // What is chosen anyway is seen anyway; once it is known, the other way is what there is to learn.
  if ((ran ? apart_known : here_known) && input.chance < kExploreWithoutData) {
    pair.route.route = ran ? StageRoute::kSkip : StageRoute::kRun;
    pair.route.rule = "no-data-trial";
  }
  if (pair.route.route == StageRoute::kRun) pair.prefill = input.prefills.front();
  return pair;
}

PairDecision ExpectedLatencyPdDecider::choose(const PluginInput& input,
                                              std::span<const EndpointIndex> decodes) const noexcept {
  if (input.prefills.empty()) {
    return {.route = {StageRoute::kSkip, "no-prefill-endpoint", input.request.prompt_tokens, 0},
            .decode = decodes.front()};
  }
  const ExpectedCost cost{options_.cost, input};
  Way here;
  Way apart;
  for (const EndpointIndex d : decodes) {
    if (cost.here_known(d)) take_if_less(here, {.decode = d, .cost = cost.here(d)});
    for (const EndpointIndex p : input.prefills) {
      if (p == d || !cost.apart_known(p, d)) continue;
      take_if_less(apart, {.decode = d, .prefill = p, .cost = cost.apart(p, d, link_between(input, p, d))});
    }
  }
  const bool here_known = here.decode != kNoEndpointIndex;
  const bool apart_known = apart.decode != kNoEndpointIndex;
  if (!here_known || !apart_known) return by_threshold(input, decodes.front(), here_known, apart_known);
  const bool apart_wins = apart.cost < here.cost;
  const bool trial = input.chance < options_.explore_share;
  const Way& way = apart_wins != trial ? apart : here;
  const std::string_view rule = trial ? "trial" : apart_wins ? "apart-costs-less" : "here-costs-less";
  return {.route = {way.prefill == kNoEndpointIndex ? StageRoute::kSkip : StageRoute::kRun, rule,
                    thousandths(apart.cost), thousandths(here.cost)},
          .decode = way.decode,
          .prefill = way.prefill};
}

}  // namespace llmd::scheduling
