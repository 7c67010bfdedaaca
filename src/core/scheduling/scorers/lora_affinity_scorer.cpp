#include "scheduling/scorers/lora_affinity_scorer.h"

#include <algorithm>

namespace llmd::scheduling {
namespace {

float affinity(const LoraState& lora, std::string_view adapter) noexcept {
  if (std::ranges::find(lora.running, adapter) != lora.running.end()) return 1.0F;
  if (lora.running.size() + lora.waiting.size() < lora.adapters_max) return 0.8F;
  return std::ranges::find(lora.waiting, adapter) != lora.waiting.end() ? 0.6F : 0.0F;
}

}  // namespace

constinit const PluginSpec LoraAffinityScorer::kSpec{
    .type = "lora-affinity-scorer",
    .kind = PluginKind::kScorer,
    .help = "the request's LoRA adapter is loaded, or there is room for it",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const LoraAffinityScorer>();
    },
    .inputs = "running and waiting LoRA adapters; the model's name",
};

void LoraAffinityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                               std::span<float> scores) const noexcept {
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const auto lora = input.fresh(input.endpoints[candidates[c]].lora);
    scores[c] = lora && *lora != nullptr ? affinity(**lora, input.request.model) : kNoData;
  }
}

}  // namespace llmd::scheduling
