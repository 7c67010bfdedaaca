#include "scheduling/scorers/prefix_cache_scorer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "matchLengthWeight",
                  .type = ParameterType::kNumber,
                  .number = 0.0,
                  .max = 1.0,
                  .help = "share of the score that comes from the matched length instead of the matched ratio"},
    ParameterSpec{.name = "matchLengthScaleTokens",
                  .type = ParameterType::kInteger,
                  .number = 8'192,
                  .min = 1,
                  .help = "tokens; the matched length at which that part is full"},
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the approx-prefix-cache-producer to read; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

MadePlugin make(const ParameterReader& parameters) {
  return std::make_unique<const PrefixCacheScorer>(
      PrefixCacheScorer::Options{.length_weight = parameters.real("matchLengthWeight"),
                                 .length_scale_tokens = parameters.real("matchLengthScaleTokens")});
}

}  // namespace

constinit const PluginSpec PrefixCacheScorer::kSpec{
    .type = "prefix-cache-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of the prompt that the endpoint probably has cached",
    .parameters = kParameters,
    .make = make,
    .reads_prefixes = true,
};

constinit const PluginSpec PrefixCacheScorer::kMulticlusterSpec{
    .type = "multicluster-prefix-cache-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of the prompt that the cluster probably has cached",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
    .inputs = "prefix matches",
};

void PrefixCacheScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                              std::span<float> scores) const noexcept {
  const auto total = static_cast<float>(input.request.prefix.hashes.size());
  const auto block_tokens = static_cast<float>(input.request.prefix.block_tokens);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const auto matched = static_cast<float>(input.matched_blocks[candidates[c]]);
    const float ratio = total > 0 ? matched / total : 0.0F;
    const float length = std::min(1.0F, matched * block_tokens / options_.length_scale_tokens);
    scores[c] = options_.length_weight * length * length + (1.0F - options_.length_weight) * ratio;
  }
}

}  // namespace llmd::scheduling
