#include "scheduling/scorers/sla_match_scorer.h"

#include <array>
#include <memory>

#include "scheduling/header_name.h"
#include "scheduling/scorers/label_id.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/sla-class",
                  .help = "the endpoint's label that names its class"},
    ParameterSpec{.name = "header",
                  .type = ParameterType::kText,
                  .text = "x-llm-d-sla-class",
                  .help = "the request header that names the class wanted"},
};

}  // namespace

constinit const PluginSpec SlaMatchScorer::kSpec{
    .type = "sla-match-scorer",
    .kind = PluginKind::kScorer,
    .help = "endpoints of the service class that the request asks for",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      Options options{.label = trimmed(parameters.text("label")), .header = header_name(parameters.text("header"))};
      if (options.label.empty() || options.header.empty()) {
        return fail(ErrorCode::kConfigInvalid, "sla-match-scorer: label or header is empty",
                    "leave them out for llm-d.ai/sla-class and x-llm-d-sla-class");
      }
      return std::make_unique<const SlaMatchScorer>(std::move(options));
    },
    .inputs = "a label of the endpoint, a header of the request",
    .no_data = "0.5 without the label or without the header",
    .ours = true,
};

FixedValue SlaMatchScorer::fixed_value(const Endpoint& endpoint) const {
  return {.ids = {text_id(label_value(endpoint, options_.label))}};
}

void SlaMatchScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                           std::span<float> scores) const noexcept {
  const std::uint64_t wanted = text_id(input.request.header(options_.header));
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::uint64_t offered = input.fixed[candidates[c]].ids[0];
    const bool either_suits = wanted == 0 || offered == 0;
    scores[c] = either_suits ? 0.5F : (offered == wanted ? 1.0F : 0.0F);
  }
}

}  // namespace llmd::scheduling
