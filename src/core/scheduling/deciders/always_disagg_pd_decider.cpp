#include "scheduling/deciders/always_disagg_pd_decider.h"

namespace llmd::scheduling {

constinit const PluginSpec AlwaysDisaggPdDecider::kSpec{
    .type = "always-disagg-pd-decider",
    .kind = PluginKind::kDecider,
    .help = "every request gets a prefill leg",
    .make = [](const ParameterReader& /*parameters*/) -> MadePlugin {
      return std::make_unique<const AlwaysDisaggPdDecider>();
    },
};

StageDecision AlwaysDisaggPdDecider::decide(const StageFacts& facts) const noexcept {
  return {.route = StageRoute::kRun, .rule = "always", .observed = facts.prompt_tokens, .limit = 0};
}

}  // namespace llmd::scheduling
