#include "scheduling/scorers/kv_capacity_scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "outputTokens",
                  .type = ParameterType::kInteger,
                  .number = 512,
                  .max = 10'000'000,
                  .help = "tokens; the answer's expected length if the client gives no limit"},
    ParameterSpec{.name = "roomFactor",
                  .type = ParameterType::kNumber,
                  .number = 2,
                  .min = 0.01,
                  .max = 1'000,
                  .help = "how many requests of this size must fit to score 1; higher: avoids full endpoints earlier"},
};

// No value: the size or the usage of the cache is not known.
std::optional<double> tokens_free(const PluginInput& input, EndpointIndex i) noexcept {
  const EndpointState& state = input.endpoints[i];
  const auto blocks = input.fresh(state.kv_blocks);
  const auto block_tokens = input.fresh(state.kv_block_tokens);
  const auto usage = input.fresh(state.kv_usage);
  if (!blocks || !block_tokens || !usage || std::isnan(*usage) || *blocks == 0 || *block_tokens == 0)
    return std::nullopt;
  return static_cast<double>(*blocks) * static_cast<double>(*block_tokens) *
         (1.0 - static_cast<double>(std::clamp(*usage, 0.0F, 1.0F)));
}

}  // namespace

constinit const PluginSpec KvCapacityScorer::kSpec{
    .type = "kv-capacity-scorer",
    .kind = PluginKind::kScorer,
    .help = "room in the KV cache for this request",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const KvCapacityScorer>(
          Options{.output_tokens = parameters.count("outputTokens"), .room_factor = parameters.real("roomFactor")});
    },
    .inputs = "KV blocks, tokens a block and KV usage; the request's prompt, its cached part and its output limit",
    .ours = true,
    .reads_prefixes = true,
};

double KvCapacityScorer::tokens_needed(const PluginInput& input, EndpointIndex i) const noexcept {
  const RequestFacts& request = input.request;
  const std::uint32_t output = request.output_tokens_max > 0 ? request.output_tokens_max : options_.output_tokens;
  return static_cast<double>(request.prompt_tokens - input.matched_tokens(i)) + static_cast<double>(output);
}

void KvCapacityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                             std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<double> free = tokens_free(input, candidates[c]);
    const double wanted = tokens_needed(input, candidates[c]) * static_cast<double>(options_.room_factor);
    if (!free) {
      scores[c] = kNoData;
    } else {
      scores[c] = *free >= wanted ? 1.0F : static_cast<float>(*free / wanted);
    }
  }
}

}  // namespace llmd::scheduling
