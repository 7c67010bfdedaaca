#include "scheduling/scorers/precise_prefix_cache_scorer.h"

#include <algorithm>
#include <array>

#include "scheduling/producers/precise_prefix_cache_parameters.h"
#include "scheduling/scorers/prefix_cache_scorer.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kTokenizers{
    ParameterSpec{.name = "indexerConfig.tokenizersPoolConfig.modelName",
                  .type = ParameterType::kText,
                  .help = "the model whose vocabulary is used"},
    ParameterSpec{.name = "indexerConfig.tokenizersPoolConfig.workersCount",
                  .type = ParameterType::kInteger,
                  .number = 5,
                  .max = 1e6,
                  .help = "prompts that are cut at once"},
    ParameterSpec{.name = "indexerConfig.tokenizersPoolConfig.uds.socketFile",
                  .type = ParameterType::kText,
                  .text = "/tmp/tokenizer/tokenizer-uds.socket",
                  .help = "the Unix socket of the tokenizer"},
    ParameterSpec{.name = "indexerConfig.tokenizersPoolConfig.uds.useTCP",
                  .type = ParameterType::kBool,
                  .help = "socketFile is host:port, for tests"},
    ParameterSpec{.name = "indexerConfig.tokenizersPoolConfig.uds.modelTokenizerMap",
                  .type = ParameterType::kTextMap,
                  .help = "where each model's files are"},
};

constexpr auto kParameters = [] {
  std::array<ParameterSpec, kPrecisePrefixCacheParameters.size() + kTokenizers.size()> all{};
  const auto rest = std::ranges::copy(kPrecisePrefixCacheParameters, all.begin()).out;
  std::ranges::copy(kTokenizers, rest);
  return all;
}();

}  // namespace

constinit const PluginSpec PrecisePrefixCacheScorer::kSpec{
    .type = "precise-prefix-cache-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of the prompt that the endpoint has cached, by KV events; use precise-prefix-cache-producer",
    .parameters = kParameters,
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const PrefixCacheScorer>(PrefixCacheScorer::Options{});
    },
    .support = Support::kWaits,
    .inputs = "KV events; the prompt's tokens",
    .no_data = "counts as nothing cached",
};

}  // namespace llmd::scheduling
