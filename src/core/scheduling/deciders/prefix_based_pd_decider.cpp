#include "scheduling/deciders/prefix_based_pd_decider.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{
        .name = "nonCachedTokens",
        .type = ParameterType::kInteger,
        .number = 0,
        .max = 1'000'000'000,
        .help = "tokens; a prefill leg needs at least so many uncached ones, 0: never. Raise it if transfers are slow"},
    ParameterSpec{.name = "promptTokens",
                  .type = ParameterType::kInteger,
                  .number = 0,
                  .max = 1'000'000'000,
                  .help = "tokens; a shorter prompt never gets a prefill leg"},
};

}  // namespace

constinit const PluginSpec PrefixBasedPdDecider::kSpec{
    .type = "prefix-based-pd-decider",
    .kind = PluginKind::kDecider,
    .help = "a prefill leg when enough of the prompt is not cached on the decode endpoint",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const PrefixBasedPdDecider>(
          Options{.uncached_tokens_min = static_cast<std::uint32_t>(parameters.integer("nonCachedTokens")),
                  .prompt_tokens_min = static_cast<std::uint32_t>(parameters.integer("promptTokens"))});
    },
    .reads_prefixes = true,
};

StageDecision PrefixBasedPdDecider::decide(const StageFacts& facts) const noexcept {
  const std::uint32_t uncached = facts.prompt_tokens - std::min(facts.prompt_tokens, facts.cached_tokens);
  if (options_.uncached_tokens_min == 0) return {StageRoute::kSkip, "never", uncached, 0};
  if (facts.prompt_tokens < options_.prompt_tokens_min)
    return {StageRoute::kSkip, "short-prompt", facts.prompt_tokens, options_.prompt_tokens_min};
  if (uncached < options_.uncached_tokens_min)
    return {StageRoute::kSkip, "short-uncached-part", uncached, options_.uncached_tokens_min};
  return {StageRoute::kRun, "long-uncached-part", uncached, options_.uncached_tokens_min};
}

}  // namespace llmd::scheduling
