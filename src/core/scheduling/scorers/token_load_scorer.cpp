#include "scheduling/scorers/token_load_scorer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr double kThresholdTokens = 4'194'304;  // 128 requests of 32,768 tokens
constexpr std::array kParameters{
    ParameterSpec{.name = "queueThresholdTokens",
                  .type = ParameterType::kInteger,
                  .number = kThresholdTokens,
                  .min = -1e15,
                  .help = "tokens from which on an endpoint scores 0; 0 and less count as the default, as in llm-d"},
    ParameterSpec{.name = "inFlightLoadProducerName",
                  .type = ParameterType::kText,
                  .help = "the pool always counts what is in flight",
                  .support = Support::kNoEffect,
                  .refers = PluginKind::kDataProducer},
};

}  // namespace

constinit const PluginSpec TokenLoadScorer::kSpec{
    .type = "token-load-scorer",
    .kind = PluginKind::kScorer,
    .help = "few tokens in flight from here, with those of this request that are not cached",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      const double threshold = parameters.number("queueThresholdTokens");
      return std::make_unique<const TokenLoadScorer>(threshold > 0 ? threshold : kThresholdTokens);
    },
    .inputs = "tokens in flight, cached tokens of the prompt; the prompt's length",
    .reads_prefixes = true,
};

void TokenLoadScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                            std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const EndpointIndex i = candidates[c];
    const std::uint32_t uncached = input.request.prompt_tokens - input.matched_tokens(i);
    const double tokens = static_cast<double>(input.inflight_tokens(i)) + uncached;
    scores[c] = static_cast<float>(1.0 - std::min(1.0, tokens / threshold_tokens_));
  }
}

}  // namespace llmd::scheduling
