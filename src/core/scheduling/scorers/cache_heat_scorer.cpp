#include "scheduling/scorers/cache_heat_scorer.h"

#include <array>
#include <memory>

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "warmUses",
                  .type = ParameterType::kNumber,
                  .number = 4.0,
                  .min = 0.01,
                  .max = 1e6,
                  .help = "recent uses (half of their number counts after a minute) at which half of the match counts"},
};

}  // namespace

constinit const PluginSpec CacheHeatScorer::kSpec{
    .type = "cache-heat-scorer",
    .kind = PluginKind::kScorer,
    .help = "share of the prompt that the endpoint probably has cached, the more the hotter its beginning is",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      return std::make_unique<const CacheHeatScorer>(parameters.real("warmUses"));
    },
    .inputs = "prefix matches; recent uses of the prompt's beginning",
    .no_data = "0 for all, also where matches come from a precise index",
    .ours = true,
    .reads_prefixes = true,
};

void CacheHeatScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                            std::span<float> scores) const noexcept {
  const auto total = static_cast<float>(input.request.prefix.hashes.size());
  const float each = total > 0 ? input.prefix_heat / (input.prefix_heat + warm_uses_) / total : 0.0F;
  for (std::size_t c = 0; c < candidates.size(); ++c)
    scores[c] = each * static_cast<float>(input.matched_blocks[candidates[c]]);
}

}  // namespace llmd::scheduling
