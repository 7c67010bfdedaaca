#include "scheduling/scorers/endpoint_attribute_scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace llmd::scheduling {
namespace {

constexpr std::string_view kLowerIsBetter = "linear_lower_is_better";
constexpr std::array<std::string_view, 2> kAlgorithms{kLowerIsBetter, "linear_higher_is_better"};
constexpr std::string_view kFixedMin = "algorithm.normalization.fixedRange.min";
constexpr std::string_view kFixedMax = "algorithm.normalization.fixedRange.max";
constexpr std::string_view kAdaptive = "algorithm.normalization.adaptiveRange";
constexpr std::array kParameters{
    ParameterSpec{.name = "attributeKey",
                  .type = ParameterType::kText,
                  .help = "the number that counts, as the data layer calls it",
                  .required = true},
    ParameterSpec{.name = "producer",
                  .type = ParameterType::kText,
                  .help = "the plugin that reads it; not set: core-metrics-extractor, \"\": none in particular"},
    ParameterSpec{.name = "algorithm.type",
                  .type = ParameterType::kText,
                  .choices = kAlgorithms,
                  .help = "whether low or high numbers are preferred",
                  .required = true},
    ParameterSpec{.name = kFixedMin,
                  .type = ParameterType::kNumber,
                  .min = -1e15,
                  .help = "the number that stands at one end; below it nothing changes"},
    ParameterSpec{.name = kFixedMax,
                  .type = ParameterType::kNumber,
                  .min = -1e15,
                  .help = "the number that stands at the other end; above it nothing changes"},
    ParameterSpec{.name = kAdaptive,
                  .type = ParameterType::kObject,
                  .help = "the range is that of the candidates, as it is without any normalization"},
};

Result<std::optional<EndpointAttributeScorer::Range>> fixed_range(const ParameterReader& parameters) {
  if (!parameters.is_set(kFixedMin) && !parameters.is_set(kFixedMax)) return std::nullopt;
  if (parameters.is_set(kAdaptive)) {
    return fail(ErrorCode::kConfigInvalid,
                "endpoint-attribute-scorer: algorithm.normalization has both fixedRange and adaptiveRange", "keep one");
  }
  const EndpointAttributeScorer::Range range{.min = parameters.number(kFixedMin), .max = parameters.number(kFixedMax)};
  if (range.min >= range.max) {
    return fail(ErrorCode::kConfigInvalid,
                fmt::format("endpoint-attribute-scorer: fixedRange goes from {} to {}; expected min below max",
                            range.min, range.max),
                "swap them, and say which end is better in algorithm.type");
  }
  return range;
}

}  // namespace

constinit const PluginSpec EndpointAttributeScorer::kSpec{
    .type = "endpoint-attribute-scorer",
    .kind = PluginKind::kScorer,
    .help = "a number that the data layer reads of the endpoints, low or high",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(const std::optional<Range> fixed, fixed_range(parameters));
      const auto producer = parameters.is_set("producer") ? std::optional{parameters.text("producer")} : std::nullopt;
      LLMD_TRY(EndpointAttribute attribute, EndpointAttribute::named("endpoint-attribute-scorer", "attributeKey",
                                                                     parameters.text("attributeKey"), producer));
      return std::make_unique<const EndpointAttributeScorer>(
          std::move(attribute),
          Options{.lower_is_better = parameters.text("algorithm.type") == kLowerIsBetter, .fixed = fixed});
    },
    .stability = Stability::kAlpha,
    .inputs = "the attribute that the configuration names",
    .no_data = "an endpoint without the attribute, or with a stale one, scores 0, as in llm-d",
};

EndpointAttributeScorer::Range EndpointAttributeScorer::range_of(
    const PluginInput& input, std::span<const EndpointIndex> candidates) const noexcept {
  if (options_.fixed) return *options_.fixed;
  Range range{.min = std::numeric_limits<double>::infinity(), .max = -std::numeric_limits<double>::infinity()};
  for (const EndpointIndex i : candidates) {
    const std::optional<float> value = attribute_.read(input, i);
    if (!value || !std::isfinite(*value)) continue;
    range.min = std::min<double>(range.min, *value);
    range.max = std::max<double>(range.max, *value);
  }
  return range;
}

void EndpointAttributeScorer::score(const PluginInput& input, std::span<const EndpointIndex> candidates,
                                    std::span<float> scores) const noexcept {
  const Range range = range_of(input, candidates);
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    const std::optional<float> value = attribute_.read(input, candidates[c]);
    if (!value || !std::isfinite(*value)) {
      scores[c] = 0.0F;
    } else if (range.max <= range.min) {
      scores[c] = 1.0F;
    } else {
      const double place = std::clamp((*value - range.min) / (range.max - range.min), 0.0, 1.0);
      scores[c] = static_cast<float>(options_.lower_is_better ? 1.0 - place : place);
    }
  }
}

}  // namespace llmd::scheduling
