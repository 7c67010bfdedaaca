#include "scheduling/filters/label_selector_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

using Operator = LabelRequirement::Operator;

constexpr std::array<std::string_view, 4> kOperators{"In", "NotIn", "Exists", "DoesNotExist"};  // as Operator counts
constexpr std::array kExpression{
    ParameterSpec{.name = "key", .type = ParameterType::kText, .help = "the label", .required = true},
    ParameterSpec{.name = "operator",
                  .type = ParameterType::kText,
                  .choices = kOperators,
                  .help = "how it is compared",
                  .required = true},
    ParameterSpec{
        .name = "values", .type = ParameterType::kTextList, .help = "what In and NotIn compare with; else none"},
};
constexpr std::array kParameters{
    ParameterSpec{
        .name = "matchLabels", .type = ParameterType::kTextMap, .help = "labels, each with the value it must have"},
    ParameterSpec{.name = "matchExpressions",
                  .type = ParameterType::kObjectList,
                  .help = "conditions on labels; all must hold",
                  .fields = kExpression},
};

MadePlugin make(const ParameterReader& parameters) {
  std::vector<LabelRequirement> requirements;
  for (const auto& [key, value] : parameters.text_map("matchLabels"))
    requirements.push_back({.key = key, .op = Operator::kIn, .values = {value}});
  for (const ParameterReader& each : parameters.objects("matchExpressions")) {
    const auto op = std::ranges::find(kOperators, each.text("operator")) - kOperators.begin();
    requirements.push_back({.key = each.text("key"), .op = static_cast<Operator>(op), .values = each.texts("values")});
  }
  for (const LabelRequirement& each : requirements) {
    if (auto checked = check_label_requirement(each); !checked) {
      checked.error().what = fmt::format("label-selector-filter: {}", checked.error().what);
      return std::unexpected(std::move(checked).error());
    }
  }
  return std::make_unique<const LabelSelectorFilter>(std::move(requirements));
}

std::string wanted(const LabelRequirement& requirement) {
  switch (requirement.op) {
    case Operator::kIn: return fmt::format("{}", fmt::join(requirement.values, " or "));
    case Operator::kNotIn: return fmt::format("not {}", fmt::join(requirement.values, " or "));
    case Operator::kExists: return "any value";
    case Operator::kDoesNotExist: return "none";
  }
  return {};
}

}  // namespace

constinit const PluginSpec LabelSelectorFilter::kSpec{
    .type = "label-selector-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints whose labels match a Kubernetes label selector",
    .parameters = kParameters,
    .make = make,
    .inputs = "labels",
};

constinit const PluginSpec LabelSelectorFilter::kOldSpec{
    .type = "by-label-selector",
    .kind = PluginKind::kFilter,
    .help = "older name of label-selector-filter",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kDeprecated,
    .inputs = "labels",
};

FixedValue LabelSelectorFilter::fixed_value(const Endpoint& endpoint) const {
  const bool kept =
      std::ranges::all_of(requirements_, [&](const LabelRequirement& each) { return each.holds(endpoint); });
  return {.low = kept ? 1.0F : 0.0F};
}

std::size_t LabelSelectorFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if(candidates, [&](EndpointIndex i) { return input.fixed[i].low != 0; });
}

std::string LabelSelectorFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const Endpoint& seen = *input.endpoints[endpoint].endpoint;
  const auto broken =
      std::ranges::find_if(requirements_, [&](const LabelRequirement& each) { return !each.holds(seen); });
  if (broken == requirements_.end()) return {};
  const auto label = seen.labels.find(broken->key);
  return fmt::format("{} is {}; wanted {}", broken->key, label == seen.labels.end() ? "absent" : label->second,
                     wanted(*broken));
}

}  // namespace llmd::scheduling
