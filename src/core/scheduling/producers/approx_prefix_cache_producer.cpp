#include "scheduling/producers/approx_prefix_cache_producer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "scheduling/scheduler.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "autoTune",
                  .type = ParameterType::kBool,
                  .number = 1,
                  .help = "take the block size that the engines report"},
    ParameterSpec{
        .name = "blockSizeTokens",
        .type = ParameterType::kInteger,
        .number = 16,
        .min = 1,
        .max = 1'000'000,
        .help = "tokens a block; below 64 counts as 64, as in llm-d. Higher: a smaller index, coarser matches"},
    ParameterSpec{.name = "blockSize",
                  .type = ParameterType::kInteger,
                  .number = 16,
                  .min = 1,
                  .max = 1'000'000,
                  .help = "older name of blockSizeTokens"},
    ParameterSpec{.name = "maxPrefixBlocksToMatch",
                  .type = ParameterType::kInteger,
                  .number = 2'048,
                  .max = 1'000'000'000,
                  .help = "blocks of a prompt that are looked at; 0: all. Only if maxPrefixTokensToMatch is 0"},
    ParameterSpec{.name = "maxPrefixTokensToMatch",
                  .type = ParameterType::kInteger,
                  .number = 131'072,
                  .max = 1'000'000'000,
                  .help = "tokens of a prompt that are looked at; 0: maxPrefixBlocksToMatch counts"},
    ParameterSpec{.name = "lruCapacityPerServer",
                  .type = ParameterType::kInteger,
                  .number = 31'250,
                  .max = 1'000'000'000,
                  .help = "blocks remembered for an endpoint; the least recently used go first"},
};
constexpr std::uint32_t kBlockTokensMin = 64;

}  // namespace

constinit const PluginSpec ApproxPrefixCacheProducer::kSpec{
    .type = "approx-prefix-cache-producer",
    .kind = PluginKind::kDataProducer,
    .help = "guesses what endpoints have cached from what was sent to them",
    .parameters = kParameters,
};

constinit const PluginSpec ApproxPrefixCacheProducer::kMulticlusterSpec{
    .type = "multicluster-approx-prefix-cache-producer",
    .kind = PluginKind::kDataProducer,
    .help = "guesses what clusters have cached from what was sent to them",
    .parameters = kParameters,
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
};

PrefixOptions ApproxPrefixCacheProducer::read(const ParameterReader& parameters) {
  const std::string_view size =
      parameters.is_set("blockSize") && !parameters.is_set("blockSizeTokens") ? "blockSize" : "blockSizeTokens";
  return {.auto_tune = parameters.flag("autoTune"),
          .block_tokens = std::max(kBlockTokensMin, static_cast<std::uint32_t>(parameters.integer(size))),
          .blocks_max = static_cast<std::uint32_t>(parameters.integer("maxPrefixBlocksToMatch")),
          .tokens_max = static_cast<std::uint32_t>(parameters.integer("maxPrefixTokensToMatch")),
          .endpoint_blocks_max = static_cast<std::uint32_t>(parameters.integer("lruCapacityPerServer"))};
}

std::uint32_t effective_block_tokens(const PrefixOptions& options, const EndpointSnapshot& snapshot) noexcept {
  if (options.auto_tune) {
    for (const EndpointState& state : snapshot.endpoints) {
      if (state.kv_block_tokens.value.value_or(0) > 0) return std::max(kBlockTokensMin, *state.kv_block_tokens.value);
    }
  }
  return std::max(kBlockTokensMin, options.block_tokens);
}

std::uint32_t effective_blocks_max(const PrefixOptions& options, std::uint32_t block_tokens) noexcept {
  if (options.tokens_max > 0) return std::max(1U, options.tokens_max / std::max(1U, block_tokens));
  return options.blocks_max > 0 ? options.blocks_max : std::numeric_limits<std::uint32_t>::max();
}

}  // namespace llmd::scheduling
