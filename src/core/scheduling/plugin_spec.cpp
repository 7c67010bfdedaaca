#include "scheduling/plugin_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "scheduling/deciders/always_disagg_pd_decider.h"
#include "scheduling/deciders/prefix_based_pd_decider.h"
#include "scheduling/filters/decode_filter.h"
#include "scheduling/filters/prefill_filter.h"
#include "scheduling/handlers/disagg_profile_handler.h"
#include "scheduling/handlers/single_profile_handler.h"
#include "scheduling/nearest_name.h"
#include "scheduling/pickers/max_score_picker.h"
#include "scheduling/pickers/random_picker.h"
#include "scheduling/pickers/weighted_random_picker.h"
#include "scheduling/producers/approx_prefix_cache_producer.h"
#include "scheduling/scorers/active_request_scorer.h"
#include "scheduling/scorers/kv_cache_utilization_scorer.h"
#include "scheduling/scorers/prefix_cache_scorer.h"
#include "scheduling/scorers/queue_scorer.h"
#include "scheduling/scorers/running_requests_size_scorer.h"

namespace llmd::scheduling {
namespace {

// One line a plugin type.
constexpr std::array<const PluginSpec*, 15> kSpecs{
    &DecodeFilter::kSpec,
    &PrefillFilter::kSpec,
    &ActiveRequestScorer::kSpec,
    &KvCacheUtilizationScorer::kSpec,
    &PrefixCacheScorer::kSpec,
    &QueueScorer::kSpec,
    &RunningRequestsSizeScorer::kSpec,
    &MaxScorePicker::kSpec,
    &RandomPicker::kSpec,
    &WeightedRandomPicker::kSpec,
    &DisaggProfileHandler::kSpec,
    &SingleProfileHandler::kSpec,
    &AlwaysDisaggPdDecider::kSpec,
    &PrefixBasedPdDecider::kSpec,
    &ApproxPrefixCacheProducer::kSpec,
};

std::unexpected<Error> wrong_value(const PluginSpec& spec, std::string_view name, std::string seen,
                                   std::string expected) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} is {}; expected {}", spec.type, name, seen, expected),
              "parameters and defaults: src/core/scheduling/README.md");
}

std::string shown(const ParameterValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", text->substr(0, 64));
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  return fmt::format("{}", std::get<std::int64_t>(value));
}

bool has_type(const ParameterValue& value, ParameterType type) {
  switch (type) {
    case ParameterType::kBool: return std::holds_alternative<bool>(value);
    case ParameterType::kInteger: return std::holds_alternative<std::int64_t>(value);
    case ParameterType::kNumber:
      return std::holds_alternative<double>(value) || std::holds_alternative<std::int64_t>(value);
    case ParameterType::kText: return std::holds_alternative<std::string>(value);
  }
  return false;
}

double as_number(const ParameterValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  return std::get<double>(value);
}

}  // namespace

std::string_view plugin_kind_name(PluginKind kind) noexcept {
  switch (kind) {
    case PluginKind::kFilter: return "filter";
    case PluginKind::kScorer: return "scorer";
    case PluginKind::kPicker: return "picker";
    case PluginKind::kProfileHandler: return "profile handler";
    case PluginKind::kPdDecider: return "P/D decider";
    case PluginKind::kDataProducer: return "data producer";
  }
  return "plugin";
}

std::string_view parameter_type_name(ParameterType type) noexcept {
  switch (type) {
    case ParameterType::kBool: return "true or false";
    case ParameterType::kInteger: return "a whole number";
    case ParameterType::kNumber: return "a number";
    case ParameterType::kText: return "a text";
  }
  return "a value";
}

const ParameterSpec* PluginSpec::find(std::string_view name) const noexcept {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const ParameterSpec& spec) { return spec.name == name; });
  return found == parameters.end() ? nullptr : &*found;
}

std::span<const PluginSpec* const> plugin_specs() noexcept { return kSpecs; }

const PluginSpec* find_plugin_spec(std::string_view type) noexcept {
  const auto* const found =
      std::find_if(kSpecs.begin(), kSpecs.end(), [&](const PluginSpec* spec) { return spec->type == type; });
  return found == kSpecs.end() ? nullptr : *found;
}

bool ParameterReader::flag(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<bool>(*value) : spec_.find(name)->number != 0;
}

std::int64_t ParameterReader::integer(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<std::int64_t>(*value) : static_cast<std::int64_t>(spec_.find(name)->number);
}

double ParameterReader::number(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? as_number(*value) : spec_.find(name)->number;
}

std::string ParameterReader::text(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<std::string>(*value) : std::string{spec_.find(name)->text};
}

Result<void> check_parameter(const PluginSpec& spec, std::string_view name, const ParameterValue& value) {
  const ParameterSpec* parameter = spec.find(name);
  if (parameter == nullptr) {
    std::vector<std::string_view> known;
    for (const ParameterSpec& each : spec.parameters) known.push_back(each.name);
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} has no parameter \"{}\"", spec.type, name.substr(0, 64)),
                nearest_name_hint(name, known));
  }
  if (!has_type(value, parameter->type))
    return wrong_value(spec, name, shown(value), std::string{parameter_type_name(parameter->type)});
  if (parameter->type == ParameterType::kInteger || parameter->type == ParameterType::kNumber) {
    const double number = as_number(value);
    if (!std::isfinite(number) || number < parameter->min || number > parameter->max) {
      return wrong_value(
          spec, name, shown(value),
          fmt::format("{} from {} to {}", parameter_type_name(parameter->type), parameter->min, parameter->max));
    }
  }
  if (parameter->type == ParameterType::kText && !parameter->choices.empty()) {
    const auto& text = std::get<std::string>(value);
    if (std::find(parameter->choices.begin(), parameter->choices.end(), text) == parameter->choices.end()) {
      return wrong_value(spec, name, shown(value), fmt::format("one of {}", fmt::join(parameter->choices, ", ")));
    }
  }
  return {};
}

}  // namespace llmd::scheduling
