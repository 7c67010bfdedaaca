#include "scheduling/deciders/always_disagg_multimodal_decider.h"

namespace llmd::scheduling {

constinit const PluginSpec AlwaysDisaggMultimodalDecider::kSpec{
    .type = "always-disagg-multimodal-decider",
    .kind = PluginKind::kDecider,
    .help = "every request with media gets an encode leg",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const AlwaysDisaggMultimodalDecider>();
    },
    .inputs = "the request's media",
};

StageDecision AlwaysDisaggMultimodalDecider::decide(const StageFacts& facts) const noexcept {
  if (facts.media_items == 0) return {.route = StageRoute::kSkip, .rule = "no-media", .observed = 0, .limit = 1};
  return {.route = StageRoute::kRun, .rule = "media", .observed = facts.media_items, .limit = 1};
}

}  // namespace llmd::scheduling
