#include "scheduling/filters/endpoint_attribute_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

using Operator = EndpointAttributeFilter::Operator;

constexpr std::array<std::string_view, 6> kOperators{"LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual",
                                                     "Equal",    "NotEqual"};  // as Operator
constexpr std::array<std::string_view, 2> kOnMissing{"Pass", "Fail"};
constexpr std::array<std::string_view, 1> kAlgorithms{"threshold"};
constexpr std::array kParameters{
    ParameterSpec{
        .name = "attribute", .type = ParameterType::kText, .help = "the attribute that is compared", .required = true},
    ParameterSpec{.name = "producer",
                  .type = ParameterType::kText,
                  .help = "the plugin that publishes it; absent: core-metrics-extractor, empty: none in particular"},
    ParameterSpec{.name = "onMissing",
                  .type = ParameterType::kText,
                  .text = "Pass",
                  .choices = kOnMissing,
                  .help = "what becomes of an endpoint without the attribute"},
    ParameterSpec{
        .name = "fallbackOnEmpty", .type = ParameterType::kBool, .help = "keep all candidates rather than none"},
    ParameterSpec{.name = "algorithm.type",
                  .type = ParameterType::kText,
                  .choices = kAlgorithms,
                  .help = "how endpoints are told apart",
                  .required = true},
    ParameterSpec{.name = "algorithm.threshold.operator",
                  .type = ParameterType::kText,
                  .choices = kOperators,
                  .help = "how a kept endpoint's attribute compares with the value",
                  .required = true},
    ParameterSpec{.name = "algorithm.threshold.value",
                  .type = ParameterType::kNumber,
                  .min = -1e15,
                  .help = "in the attribute's unit"},
};

MadePlugin make(const ParameterReader& parameters) {
  std::optional<std::string> producer;
  if (parameters.is_set("producer")) producer = parameters.text("producer");
  LLMD_TRY(EndpointAttribute attribute,
           EndpointAttribute::named("endpoint-attribute-filter", "attribute", parameters.text("attribute"), producer));
  const auto op = std::ranges::find(kOperators, parameters.text("algorithm.threshold.operator")) - kOperators.begin();
  return std::make_unique<const EndpointAttributeFilter>(
      EndpointAttributeFilter::Options{.attribute = std::move(attribute),
                                       .op = static_cast<Operator>(op),
                                       .threshold = parameters.real("algorithm.threshold.value"),
                                       .drops_missing = parameters.text("onMissing") == "Fail",
                                       .falls_back = parameters.flag("fallbackOnEmpty")});
}

}  // namespace

constinit const PluginSpec EndpointAttributeFilter::kSpec{
    .type = "endpoint-attribute-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints one of whose metrics is below or above a threshold",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kAlpha,
    .inputs = "an attribute by name",
    .no_data = "kept, unless onMissing is Fail",
};

bool EndpointAttributeFilter::keeps(const PluginInput& input, EndpointIndex endpoint) const noexcept {
  const std::optional<float> value = options_.attribute.read(input, endpoint);
  if (!value) return !options_.drops_missing;
  switch (options_.op) {
    case Operator::kLess: return *value < options_.threshold;
    case Operator::kLessOrEqual: return *value <= options_.threshold;
    case Operator::kGreater: return *value > options_.threshold;
    case Operator::kGreaterOrEqual: return *value >= options_.threshold;
    case Operator::kEqual: return *value == options_.threshold;
    case Operator::kNotEqual: return *value != options_.threshold;
  }
  return true;
}

std::size_t EndpointAttributeFilter::filter(const PluginInput& input,
                                            std::span<EndpointIndex> candidates) const noexcept {
  const auto wanted = [&](EndpointIndex i) { return keeps(input, i); };
  return options_.falls_back ? keep_if_any(candidates, wanted) : keep_if(candidates, wanted);
}

std::string EndpointAttributeFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const std::optional<float> value = options_.attribute.read(input, endpoint);
  return fmt::format("{} is {}; wanted {} {}", options_.attribute.name(),
                     value ? fmt::format("{}", *value) : std::string{"not known"},
                     kOperators[static_cast<std::size_t>(options_.op)], options_.threshold);
}

}  // namespace llmd::scheduling
