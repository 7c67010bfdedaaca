#include "scheduling/scorers/model_version_scorer.h"

#include <array>
#include <memory>

#include "scheduling/header_name.h"
#include "scheduling/scorers/label_id.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "version",
                  .type = ParameterType::kText,
                  .help = "the version wanted by requests without the header; empty: none in particular"},
    ParameterSpec{.name = "label",
                  .type = ParameterType::kText,
                  .text = "llm-d.ai/model-version",
                  .help = "the endpoint's label that names its version"},
    ParameterSpec{.name = "header",
                  .type = ParameterType::kText,
                  .text = "x-llm-d-model-version",
                  .help = "the request header that names the version wanted"},
};

}  // namespace

constinit const PluginSpec ModelVersionScorer::kSpec{
    .type = "model-version-scorer",
    .kind = PluginKind::kScorer,
    .help = "endpoints that run the wanted version of the model",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      Options options{.version = parameters.text("version"),
                      .label = trimmed(parameters.text("label")),
                      .header = header_name(parameters.text("header"))};
      if (options.label.empty() || options.header.empty()) {
        return fail(ErrorCode::kConfigInvalid, "model-version-scorer: label or header is empty",
                    "leave them out for llm-d.ai/model-version and x-llm-d-model-version");
      }
      return std::make_unique<const ModelVersionScorer>(std::move(options));
    },
    .inputs = "a label of the endpoint, a header of the request",
    .ours = true,
};

ModelVersionScorer::ModelVersionScorer(Options options) noexcept
    : options_{std::move(options)}, version_id_{text_id(options_.version)} {}

FixedValue ModelVersionScorer::fixed_value(const Endpoint& endpoint) const {
  return {.ids = {text_id(label_value(endpoint, options_.label))}};
}

void ModelVersionScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                               std::span<float> scores) const noexcept {
  const std::uint64_t asked = text_id(input.request.header(options_.header));
  const std::uint64_t wanted = asked != 0 ? asked : version_id_;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::uint64_t offered = input.fixed[candidates[c]].ids[0];
    const bool unknown = wanted == 0 || offered == 0;
    scores[c] = unknown ? kNoData : (offered == wanted ? 1.0F : 0.0F);
  }
}

}  // namespace llmd::scheduling
