#include "scheduling/producers/burst_prefix_cache_producer.h"

#include <fmt/format.h>

#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array<std::string_view, 2> kBalances{"requests", "tokens"};
constexpr std::array kParameters{
    ParameterSpec{.name = "windowDurationMs",
                  .type = ParameterType::kInteger,
                  .number = 100,
                  .min = 1,
                  .max = 10'000,
                  .help = "ms that a request waits for others; longer finds more that share a prompt"},
    ParameterSpec{.name = "maxPerReplica",
                  .type = ParameterType::kInteger,
                  .number = -1,
                  .min = -1,
                  .max = 1e9,
                  .help = "requests of equal prompts on one endpoint; -1: all of them"},
    ParameterSpec{.name = "blockSizeTokens",
                  .type = ParameterType::kInteger,
                  .number = 64,
                  .min = 1,
                  .max = 1e9,
                  .help = "tokens of a block that prompts are compared by"},
    ParameterSpec{.name = "maxPrefixTokensToMatch",
                  .type = ParameterType::kInteger,
                  .max = 1e9,
                  .help = "leading tokens that are compared, at least a block; 0: 2048 blocks"},
    ParameterSpec{.name = "minColocateBlocks",
                  .type = ParameterType::kInteger,
                  .max = 1e9,
                  .help = "leading blocks that different prompts must share to go together; 0: only equal ones do"},
    ParameterSpec{.name = "maxBatchSize",
                  .type = ParameterType::kInteger,
                  .number = 1'000,
                  .min = -1,
                  .max = 1e9,
                  .help = "requests of one window; -1: any number"},
    ParameterSpec{.name = "balanceBy",
                  .type = ParameterType::kText,
                  .text = kBalances[0],
                  .choices = kBalances,
                  .help = "what is spread evenly: requests, or tokens to compute"},
};

MadePlugin make(const ParameterReader& parameters) {
  for (const std::string_view name : {"maxPerReplica", "maxBatchSize"}) {
    if (parameters.integer(name) != 0) continue;
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("burst-prefix-cache-producer: {} is 0; expected -1 or more", name),
                "-1 is without a limit");
  }
  const std::int64_t tokens = parameters.integer("maxPrefixTokensToMatch");
  if (tokens > 0 && tokens < parameters.integer("blockSizeTokens")) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("burst-prefix-cache-producer: maxPrefixTokensToMatch is {}, less than blockSizeTokens, {}",
                            tokens, parameters.integer("blockSizeTokens")),
                "0, or at least one block");
  }
  return PluginObjects{};
}

std::uint32_t limit(const ParameterReader& parameters, std::string_view name) {
  const std::int64_t value = parameters.integer(name);
  return value < 0 ? BurstRules::kUnlimited : static_cast<std::uint32_t>(value);
}

}  // namespace

constinit const PluginSpec BurstPrefixCacheProducer::kSpec{
    .type = "burst-prefix-cache-producer",
    .kind = PluginKind::kDataProducer,
    .help = "places requests that arrive together and share a prompt on the same endpoint",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kAlpha,
    .support = Support::kWaits,
    .inputs = "the prompt's prefix; running requests",
    .no_data = "counts as 0 running requests",
};

BurstPrefixCacheProducer::Options BurstPrefixCacheProducer::read(const ParameterReader& parameters) {
  Options options{.window = milliseconds{parameters.integer("windowDurationMs")},
                  .block_tokens = parameters.count("blockSizeTokens"),
                  .batch_max = limit(parameters, "maxBatchSize"),
                  .rules = {.replica_max = limit(parameters, "maxPerReplica"),
                            .shared_blocks_min = parameters.count("minColocateBlocks"),
                            .by_blocks = parameters.text("balanceBy") == "tokens"}};
  if (const std::uint32_t tokens = parameters.count("maxPrefixTokensToMatch"); tokens > 0)
    options.blocks_max = tokens / options.block_tokens;
  return options;
}

}  // namespace llmd::scheduling
