#include "scheduling/scorers/header_label_affinity_scorer.h"

#include <fmt/format.h>

#include <array>

#include "base/hash.h"
#include "scheduling/header_name.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "headerName",
                  .type = ParameterType::kText,
                  .help = "the request header that says which endpoints are wanted",
                  .required = true},
    ParameterSpec{.name = "labelKey",
                  .type = ParameterType::kText,
                  .help = "the label that its value is compared with",
                  .required = true},
};

}  // namespace

constinit const PluginSpec HeaderLabelAffinityScorer::kSpec{
    .type = "header-label-affinity-scorer",
    .kind = PluginKind::kScorer,
    .help = "a label has the value of a request header",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      Options options{.header = header_name(parameters.text("headerName")), .label = parameters.text("labelKey")};
      if (options.header.empty() || options.label.empty()) {
        return fail(ErrorCode::kConfigInvalid,
                    fmt::format("header-label-affinity-scorer: {} is empty",
                                options.header.empty() ? "headerName" : "labelKey"),
                    "name a request header and a label");
      }
      return std::make_unique<const HeaderLabelAffinityScorer>(std::move(options));
    },
    .stability = Stability::kAlpha,
    .inputs = "a label; a request header",
    .no_data = "an endpoint without the label scores 0, as do all without the header",
};

FixedValue HeaderLabelAffinityScorer::fixed_value(const Endpoint& endpoint) const {
  const auto label = endpoint.labels.find(options_.label);
  if (label == endpoint.labels.end()) return {};
  return {.low = 1.0F, .ids = {xxh64(label->second)}};
}

void HeaderLabelAffinityScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                      std::span<float> scores) const noexcept {
  const std::string_view header = input.request.header(options_.header);
  const std::uint64_t wanted = xxh64(header);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const FixedValue& label = input.fixed[candidates[c]];
    scores[c] = !header.empty() && label.low != 0 && label.ids[0] == wanted ? 1.0F : 0.0F;
  }
}

}  // namespace llmd::scheduling
