#include "scheduling/deciders/always_disagg_pd_decider.h"

namespace llmd::scheduling {

constinit const PluginSpec AlwaysDisaggPdDecider::kSpec{
    .type = "always-disagg-pd-decider",
    .kind = PluginKind::kPdDecider,
    .help = "every request gets a prefill leg",
    .make = [](const ParameterReader& /*parameters*/) -> AnyPlugin {
      return std::make_unique<const AlwaysDisaggPdDecider>();
    },
};

PdDecision AlwaysDisaggPdDecider::decide(const PdFacts& facts) const noexcept {
  return {.route = PrefillRoute::kRemote, .rule = "always", .observed = facts.prompt_tokens, .limit = 0};
}

}  // namespace llmd::scheduling
