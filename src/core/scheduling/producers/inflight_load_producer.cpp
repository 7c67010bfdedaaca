#include "scheduling/producers/inflight_load_producer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "addEstimatedOutputTokens",
                  .type = ParameterType::kBool,
                  .help = "count an estimate of the answer beside the uncached prompt, until the request ends"},
    ParameterSpec{.name = "outputRatio",
                  .type = ParameterType::kNumber,
                  .number = 1.5,
                  .max = 1e6,
                  .help = "estimated tokens of the answer for each of the prompt"},
    ParameterSpec{.name = "maxEstimatedOutputTokens",
                  .type = ParameterType::kInteger,
                  .max = 1e9,
                  .help = "tokens; no estimate is larger. 0: only the client's own limit counts"},
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer that says what is cached; empty: the only one",
                  .refers = PluginKind::kDataProducer},
    ParameterSpec{.name = "syncCrossReplicaState",
                  .type = ParameterType::kBool,
                  .number = 1,
                  .help = "share the counts among replicas, once there is a syncer",
                  .support = Support::kNoEffect},
};

}  // namespace

constinit const PluginSpec InflightLoadProducer::kSpec{
    .type = "inflight-load-producer",
    .kind = PluginKind::kDataProducer,
    .help = "requests and tokens that were sent to each endpoint and have not ended",
    .parameters = kParameters,
};

InflightOptions InflightLoadProducer::read(const ParameterReader& parameters) {
  return {.add_output = parameters.flag("addEstimatedOutputTokens"),
          .output_ratio = parameters.number("outputRatio"),
          .output_max = parameters.count("maxEstimatedOutputTokens")};
}

std::uint64_t estimated_output_tokens(const InflightOptions& options, const RequestFacts& request) noexcept {
  if (!options.add_output) return 0;
  auto tokens = static_cast<std::uint64_t>(static_cast<double>(request.prompt_tokens) * options.output_ratio + 0.5);
  if (request.output_tokens_max > 0) tokens = std::min<std::uint64_t>(tokens, request.output_tokens_max);
  if (options.output_max > 0) tokens = std::min<std::uint64_t>(tokens, options.output_max);
  return tokens;
}

}  // namespace llmd::scheduling
