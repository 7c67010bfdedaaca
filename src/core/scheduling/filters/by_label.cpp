#include "scheduling/filters/by_label.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{
        .name = "label", .type = ParameterType::kText, .help = "the label that is looked at", .required = true},
    ParameterSpec{.name = "validValues",
                  .type = ParameterType::kTextList,
                  .help = "an endpoint with one of these values is kept"},
    ParameterSpec{
        .name = "allowsNoLabel", .type = ParameterType::kBool, .help = "whether an endpoint without the label is kept"},
};

MadePlugin make(const ParameterReader& parameters) {
  ByLabel::Options options{.label = parameters.text("label"),
                           .values = parameters.texts("validValues"),
                           .allows_no_label = parameters.flag("allowsNoLabel")};
  if (options.label.empty())
    return fail(ErrorCode::kConfigInvalid, "by-label: label is empty; expected a label's name", "for example app");
  if (options.values.empty() && !options.allows_no_label) {
    return fail(ErrorCode::kConfigInvalid, "by-label: no endpoint can pass without validValues and allowsNoLabel",
                "name values, or set allowsNoLabel");
  }
  return std::make_unique<const ByLabel>(std::move(options));
}

}  // namespace

constinit const PluginSpec ByLabel::kSpec{
    .type = "by-label",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose label has one of some values; use label-selector-filter",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kDeprecated,
    .inputs = "a label",
};

FixedValue ByLabel::fixed_value(const Endpoint& endpoint) const {
  const auto label = endpoint.labels.find(options_.label);
  const bool absent = label == endpoint.labels.end();
  const std::string value = absent ? std::string{} : label->second;
  const bool kept =
      (absent && options_.allows_no_label) || std::ranges::find(options_.values, value) != options_.values.end();
  return {.low = kept ? 1.0F : 0.0F};
}

std::size_t ByLabel::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.fixed[i].low != 0; });
}

std::string ByLabel::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const auto& labels = input.endpoints[endpoint].endpoint->labels;
  const auto label = labels.find(options_.label);
  const std::string wanted = options_.values.empty() ? std::string{"none"}
                                                     : fmt::format("{}{}", fmt::join(options_.values, ", "),
                                                                   options_.allows_no_label ? ", or none" : "");
  return fmt::format("{} is {}; wanted {}", options_.label, label == labels.end() ? "absent" : label->second, wanted);
}

}  // namespace llmd::scheduling
