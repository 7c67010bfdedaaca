#include "scheduling/producers/p2p_source_producer.h"

#include <algorithm>
#include <array>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "prefixMatchInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer that says what is cached; empty: the only one",
                  .support = Support::kNoEffect,
                  .refers = PluginKind::kDataProducer},
    ParameterSpec{.name = "minCachedTokenDelta",
                  .type = ParameterType::kInteger,
                  .number = 1,
                  .min = 1,
                  .max = 1e9,
                  .help = "cached tokens that a source must have more; higher copies less often"},
    ParameterSpec{.name = "prefillProfileName",
                  .type = ParameterType::kText,
                  .text = "prefill",
                  .help = "the profile whose endpoint computes the prompt; known from the profile handler",
                  .support = Support::kNoEffect},
};

/// FNV-1a, as in llm-d, so that both choose alike.
double chance_of(std::string_view request_id) noexcept {
  std::uint32_t hash = 2'166'136'261U;
  for (const char c : request_id) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619U;
  return static_cast<double>(hash) * 0x1.0p-32;
}

struct Source {
  const PluginInput& input;
  std::uint32_t blocks_max = 0;

  [[nodiscard]] std::uint32_t blocks(EndpointIndex i) const noexcept {
    return input.endpoints[i].health == EndpointHealth::kDown ? 0 : input.matched_blocks[i];
  }
  /// 0: no source.
  [[nodiscard]] double weight(EndpointIndex i) const noexcept {
    if (blocks(i) == 0 || blocks(i) + 1 < blocks_max) return 0;
    return 1.0 / (1.0 + input.fresh(input.endpoints[i].waiting_requests).value_or(0));
  }
};

EndpointIndex draw(const PluginInput& input) noexcept {
  const auto count = static_cast<EndpointIndex>(std::min(input.matched_blocks.size(), input.endpoints.size()));
  Source source{.input = input};
  for (EndpointIndex i = 0; i < count; ++i) source.blocks_max = std::max(source.blocks_max, source.blocks(i));
  double total = 0;
  for (EndpointIndex i = 0; i < count; ++i) total += source.weight(i);
  double rest = chance_of(input.request.request_id) * total;
  EndpointIndex drawn = kNoEndpointIndex;
  for (EndpointIndex i = 0; i < count; ++i) {
    const double weight = source.weight(i);
    if (weight == 0) continue;
    drawn = i;
    if (rest < weight) break;
    rest -= weight;
  }
  return drawn;
}

}  // namespace

constinit const PluginSpec P2pSourceProducer::kSpec{
    .type = "p2p-source-producer",
    .kind = PluginKind::kDataProducer,
    .help = "names an endpoint to copy the prompt's KV from",
    .parameters = kParameters,
    .stability = Stability::kAlpha,
    .inputs = "prefix matches, waiting requests; the request's id",
    .no_data = "counts as 0 waiting requests",
    .reads_prefixes = true,
};

P2pSourceProducer::Options P2pSourceProducer::read(const ParameterReader& parameters) {
  return {.tokens_more_min = parameters.count("minCachedTokenDelta")};
}

EndpointIndex choose_kv_source(const PluginInput& input, EndpointIndex computing,
                               const P2pSourceProducer::Options& options) noexcept {
  const EndpointIndex source = draw(input);
  if (source == kNoEndpointIndex || source == computing) return kNoEndpointIndex;
  const std::uint64_t needed = std::uint64_t{input.matched_tokens(computing)} + options.tokens_more_min;
  return input.matched_tokens(source) >= needed ? source : kNoEndpointIndex;
}

}  // namespace llmd::scheduling
