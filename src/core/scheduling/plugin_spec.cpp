#include "scheduling/plugin_spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <vector>

#include "scheduling/admitters/latency_slo_admitter.h"
#include "scheduling/admitters/probabilistic_admitter.h"
#include "scheduling/deciders/always_disagg_multimodal_decider.h"
#include "scheduling/deciders/always_disagg_pd_decider.h"
#include "scheduling/deciders/expected_latency_pd_decider.h"
#include "scheduling/deciders/prefix_based_pd_decider.h"
#include "scheduling/detectors/concurrency_detector.h"
#include "scheduling/detectors/utilization_detector.h"
#include "scheduling/filters/bounded_load_filter.h"
#include "scheduling/filters/by_label.h"
#include "scheduling/filters/decode_filter.h"
#include "scheduling/filters/encode_filter.h"
#include "scheduling/filters/endpoint_attribute_filter.h"
#include "scheduling/filters/header_based_testing_filter.h"
#include "scheduling/filters/label_selector_filter.h"
#include "scheduling/filters/prefill_filter.h"
#include "scheduling/filters/prefix_cache_affinity_filter.h"
#include "scheduling/filters/session_affinity_filter.h"
#include "scheduling/filters/slo_headroom_tier_filter.h"
#include "scheduling/filters/topology_affinity_filter.h"
#include "scheduling/filters/utilization_filter.h"
#include "scheduling/handlers/data_parallel_profile_handler.h"
#include "scheduling/handlers/disagg_profile_handler.h"
#include "scheduling/handlers/header_profile_handler.h"
#include "scheduling/handlers/single_profile_handler.h"
#include "scheduling/nearest_name.h"
#include "scheduling/pickers/max_score_picker.h"
#include "scheduling/pickers/random_picker.h"
#include "scheduling/pickers/weighted_random_picker.h"
#include "scheduling/producers/approx_prefix_cache_producer.h"
#include "scheduling/producers/burst_prefix_cache_producer.h"
#include "scheduling/producers/inflight_load_producer.h"
#include "scheduling/producers/mm_embeddings_cache_producer.h"
#include "scheduling/producers/p2p_source_producer.h"
#include "scheduling/producers/precise_prefix_cache_producer.h"
#include "scheduling/producers/predicted_latency_producer.h"
#include "scheduling/producers/session_id_producer.h"
#include "scheduling/producers/token_producer.h"
#include "scheduling/producers/weight_learner_plugin.h"
#include "scheduling/scorers/active_request_scorer.h"
#include "scheduling/scorers/cache_heat_scorer.h"
#include "scheduling/scorers/cache_hit_scorer.h"
#include "scheduling/scorers/cold_start_scorer.h"
#include "scheduling/scorers/context_length_aware.h"
#include "scheduling/scorers/cost_scorer.h"
#include "scheduling/scorers/cpu_scorer.h"
#include "scheduling/scorers/decode_work_scorer.h"
#include "scheduling/scorers/endpoint_attribute_scorer.h"
#include "scheduling/scorers/energy_scorer.h"
#include "scheduling/scorers/error_rate_scorer.h"
#include "scheduling/scorers/expected_latency_scorer.h"
#include "scheduling/scorers/gpu_scorer.h"
#include "scheduling/scorers/header_label_affinity_scorer.h"
#include "scheduling/scorers/kv_cache_utilization_scorer.h"
#include "scheduling/scorers/kv_capacity_scorer.h"
#include "scheduling/scorers/latency_scorer.h"
#include "scheduling/scorers/load_aware_scorer.h"
#include "scheduling/scorers/load_forecast_scorer.h"
#include "scheduling/scorers/lora_affinity_scorer.h"
#include "scheduling/scorers/memory_scorer.h"
#include "scheduling/scorers/mm_embeddings_cache_scorer.h"
#include "scheduling/scorers/model_version_scorer.h"
#include "scheduling/scorers/multicluster_kv_cache_utilization_scorer.h"
#include "scheduling/scorers/multicluster_queue_scorer.h"
#include "scheduling/scorers/network_bandwidth_scorer.h"
#include "scheduling/scorers/network_latency_scorer.h"
#include "scheduling/scorers/network_loss_scorer.h"
#include "scheduling/scorers/no_hit_lru_scorer.h"
#include "scheduling/scorers/peer_link_scorer.h"
#include "scheduling/scorers/precise_prefix_cache_scorer.h"
#include "scheduling/scorers/prefix_cache_scorer.h"
#include "scheduling/scorers/priority_scorer.h"
#include "scheduling/scorers/queue_scorer.h"
#include "scheduling/scorers/queue_tokens_scorer.h"
#include "scheduling/scorers/running_requests_size_scorer.h"
#include "scheduling/scorers/session_affinity_scorer.h"
#include "scheduling/scorers/sla_match_scorer.h"
#include "scheduling/scorers/token_load_scorer.h"
#include "scheduling/scorers/topology_affinity_scorer.h"
#include "scheduling/scorers/zone_scorer.h"
#include "scheduling/screeners/rollout_screener.h"
#include "scheduling/shared_library_plugin.h"

namespace llmd::scheduling {
namespace {

// One line a plugin type.
constexpr const PluginSpec* kSpecs[] = {
    &ByLabel::kSpec,
    &RolloutScreener::kSpec,
    &LabelSelectorFilter::kOldSpec,
    &DecodeFilter::kSpec,
    &EncodeFilter::kSpec,
    &EndpointAttributeFilter::kSpec,
    &HeaderBasedTestingFilter::kSpec,
    &LabelSelectorFilter::kSpec,
    &SessionAffinityFilter::kMulticlusterSpec,
    &PrefillFilter::kSpec,
    &SessionAffinityFilter::kSpec,
    &TopologyAffinityFilter::kSpec,
    &SharedLibraryPlugin::kFilterSpec,
    &SharedLibraryPlugin::kScorerSpec,
    &BoundedLoadFilter::kSpec,
    &PrefixCacheAffinityFilter::kSpec,
    &SloHeadroomTierFilter::kSpec,
    &UtilizationFilter::kSpec,
    &ActiveRequestScorer::kSpec,
    &ContextLengthAwareScorer::kSpec,
    &EndpointAttributeScorer::kSpec,
    &HeaderLabelAffinityScorer::kSpec,
    &KvCacheUtilizationScorer::kSpec,
    &LatencyScorer::kSpec,
    &LoadAwareScorer::kSpec,
    &LoraAffinityScorer::kSpec,
    &MmEmbeddingsCacheScorer::kSpec,
    &NoHitLruScorer::kSpec,
    &CacheHeatScorer::kSpec,
    &CacheHitScorer::kSpec,
    &ColdStartScorer::kSpec,
    &CostScorer::kSpec,
    &CpuScorer::kSpec,
    &DecodeWorkScorer::kSpec,
    &EnergyScorer::kSpec,
    &ErrorRateScorer::kSpec,
    &ExpectedLatencyScorer::kSpec,
    &GpuScorer::kSpec,
    &KvCapacityScorer::kSpec,
    &LoadForecastScorer::kSpec,
    &MemoryScorer::kSpec,
    &ModelVersionScorer::kSpec,
    &NetworkBandwidthScorer::kSpec,
    &NetworkLatencyScorer::kSpec,
    &NetworkLossScorer::kSpec,
    &PeerLinkScorer::kSpec,
    &MulticlusterKvCacheUtilizationScorer::kSpec,
    &PrefixCacheScorer::kMulticlusterSpec,
    &MulticlusterQueueScorer::kSpec,
    &PrecisePrefixCacheScorer::kSpec,
    &PrefixCacheScorer::kSpec,
    &PriorityScorer::kSpec,
    &QueueScorer::kSpec,
    &QueueTokensScorer::kSpec,
    &RunningRequestsSizeScorer::kSpec,
    &SessionAffinityScorer::kSpec,
    &TokenLoadScorer::kSpec,
    &TopologyAffinityScorer::kSpec,
    &SlaMatchScorer::kSpec,
    &ZoneScorer::kSpec,
    &MaxScorePicker::kSpec,
    &RandomPicker::kSpec,
    &WeightedRandomPicker::kSpec,
    &DataParallelProfileHandler::kSpec,
    &DisaggProfileHandler::kSpec,
    &HeaderProfileHandler::kSpec,
    &DisaggProfileHandler::kPdSpec,
    &SingleProfileHandler::kSpec,
    &AlwaysDisaggMultimodalDecider::kSpec,
    &AlwaysDisaggPdDecider::kSpec,
    &ExpectedLatencyPdDecider::kSpec,
    &PrefixBasedPdDecider::kSpec,
    &ApproxPrefixCacheProducer::kSpec,
    &BurstPrefixCacheProducer::kSpec,
    &InflightLoadProducer::kSpec,
    &SessionIdProducer::kSpec,
    &MmEmbeddingsCacheProducer::kSpec,
    &ApproxPrefixCacheProducer::kMulticlusterSpec,
    &P2pSourceProducer::kSpec,
    &PrecisePrefixCacheProducer::kSpec,
    &PredictedLatencyProducer::kSpec,
    &TokenProducer::kSpec,
    &TokenProducer::kOldSpec,
    &WeightLearnerPlugin::kSpec,
    &LatencySloAdmitter::kSpec,
    &ProbabilisticAdmitter::kSpec,
    &ConcurrencyDetector::kSpec,
    &UtilizationDetector::kSpec,
};

std::unexpected<Error> wrong_value(std::string_view owner, std::string_view name, std::string_view seen,
                                   std::string_view expected) {
  return fail(ErrorCode::kConfigInvalid, fmt::format("{}: {} is {}; expected {}", owner, name, seen, expected),
              "parameters and defaults: docs/plugins.md");
}

std::string shown(const ParameterValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", text->substr(0, 64));
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
  return std::holds_alternative<TextMap>(value) ? "an object" : "a list";
}

bool has_type(const ParameterValue& value, ParameterType type) {
  switch (type) {
    case ParameterType::kBool:
    case ParameterType::kObject: return std::holds_alternative<bool>(value);
    case ParameterType::kInteger: return std::holds_alternative<std::int64_t>(value);
    case ParameterType::kNumber:
      return std::holds_alternative<double>(value) || std::holds_alternative<std::int64_t>(value);
    case ParameterType::kText:
    case ParameterType::kDuration: return std::holds_alternative<std::string>(value);
    case ParameterType::kTextList: return std::holds_alternative<TextList>(value);
    case ParameterType::kTextMap: return std::holds_alternative<TextMap>(value);
    case ParameterType::kObjectList: return std::holds_alternative<ObjectList>(value);
  }
  return false;
}

double as_number(const ParameterValue& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  return std::get<double>(value);
}

Result<void> check_number(std::string_view owner, const ParameterSpec& parameter, const ParameterValue& value) {
  const double number = as_number(value);
  if (std::isfinite(number) && number >= parameter.min && number <= parameter.max) return {};
  return wrong_value(
      owner, parameter.name, shown(value),
      fmt::format("{} from {} to {}", parameter_type_name(parameter.type), parameter.min, parameter.max));
}

Result<void> check_text(std::string_view owner, const ParameterSpec& parameter, const std::string& text) {
  if (parameter.type == ParameterType::kDuration) {
    if (text.empty() || parse_go_duration(text)) return {};
    return wrong_value(owner, parameter.name, shown(text), "a duration such as 200ms, 5s or 1m30s");
  }
  const auto& choices = parameter.choices;
  if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return {};
  return wrong_value(owner, parameter.name, shown(text), fmt::format("one of {}", fmt::join(choices, ", ")));
}

const ParameterSpec* find_parameter(std::span<const ParameterSpec> specs, std::string_view name) noexcept {
  const auto found =
      std::find_if(specs.begin(), specs.end(), [&](const ParameterSpec& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

}  // namespace

std::string_view plugin_kind_name(PluginKind kind) noexcept {
  switch (kind) {
    case PluginKind::kFilter: return "filter";
    case PluginKind::kScorer: return "scorer";
    case PluginKind::kPicker: return "picker";
    case PluginKind::kProfileHandler: return "profile handler";
    case PluginKind::kDecider: return "decider";
    case PluginKind::kDataProducer: return "data producer";
    case PluginKind::kAdmitter: return "admitter";
    case PluginKind::kScreener: return "screener";
    case PluginKind::kSaturationDetector: return "saturation detector";
    case PluginKind::kFairnessPolicy: return "fairness policy";
    case PluginKind::kOrderingPolicy: return "ordering policy";
    case PluginKind::kUsageLimitPolicy: return "usage limit policy";
    case PluginKind::kEvictionPolicy: return "eviction policy";
    case PluginKind::kParser: return "parser";
    case PluginKind::kRequestPlugin: return "request plugin";
    case PluginKind::kDataSource: return "data source";
    case PluginKind::kExtractor: return "extractor";
    case PluginKind::kDiscovery: return "discovery";
  }
  return "plugin";
}

std::string a_plugin_kind(PluginKind kind) {
  const std::string_view name = plugin_kind_name(kind);
  const bool vowel = std::string_view{"aeio"}.find(name.front()) != std::string_view::npos;
  return fmt::format("{} {}", vowel ? "an" : "a", name);
}

std::string_view parameter_type_name(ParameterType type) noexcept {
  switch (type) {
    case ParameterType::kBool: return "true or false";
    case ParameterType::kInteger: return "a whole number";
    case ParameterType::kNumber: return "a number";
    case ParameterType::kText: return "a text";
    case ParameterType::kDuration: return "a duration";
    case ParameterType::kTextList: return "a list of texts";
    case ParameterType::kTextMap: return "an object of texts";
    case ParameterType::kObject: return "an object";
    case ParameterType::kObjectList: return "a list of objects";
  }
  return "a value";
}

const ParameterSpec* PluginSpec::find(std::string_view name) const noexcept { return find_parameter(parameters, name); }

std::span<const PluginSpec* const> plugin_specs() noexcept { return kSpecs; }

const PluginSpec* find_plugin_spec(std::string_view type) noexcept {
  const auto* const found = std::ranges::find(kSpecs, type, &PluginSpec::type);
  return found == std::end(kSpecs) ? nullptr : *found;
}

const ParameterSpec& ParameterReader::spec(std::string_view name) const { return *find_parameter(specs_, name); }

bool ParameterReader::flag(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<bool>(*value) : spec(name).number != 0;
}

std::int64_t ParameterReader::integer(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<std::int64_t>(*value) : static_cast<std::int64_t>(spec(name).number);
}

double ParameterReader::number(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? as_number(*value) : spec(name).number;
}

std::string ParameterReader::text(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<std::string>(*value) : std::string{spec(name).text};
}

milliseconds ParameterReader::duration(std::string_view name) const {
  std::string given = text(name);
  if (given.empty()) given = spec(name).text;  // as in llm-d, where an empty text is the default
  return parse_go_duration(given).value_or(milliseconds{});
}

TextList ParameterReader::texts(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<TextList>(*value) : TextList{};
}

TextMap ParameterReader::text_map(std::string_view name) const {
  const ParameterValue* value = parameters_.find(name);
  return value != nullptr ? std::get<TextMap>(*value) : TextMap{};
}

std::vector<ParameterReader> ParameterReader::objects(std::string_view name) const {
  std::vector<ParameterReader> readers;
  const ParameterValue* value = parameters_.find(name);
  if (value == nullptr) return readers;
  for (const Parameters& each : std::get<ObjectList>(*value)) readers.emplace_back(spec(name).fields, each, config_);
  return readers;
}

const PluginInstance* ParameterReader::other(std::string_view plugin) const {
  if (config_ == nullptr) return nullptr;
  for (const auto* list : {&config_->plugins, &config_->others}) {
    const auto found = std::ranges::find(*list, plugin, &PluginInstance::name);
    if (found != list->end()) return &*found;
  }
  return nullptr;
}

const PluginInstance* ParameterReader::first_of(std::string_view type) const {
  if (config_ == nullptr) return nullptr;
  const auto found = std::ranges::find(config_->plugins, type, &PluginInstance::type);
  return found == config_->plugins.end() ? nullptr : &*found;
}

Error unknown_parameter(std::string_view owner, std::span<const ParameterSpec> specs, std::string_view name) {
  std::vector<std::string_view> known;
  for (const ParameterSpec& each : specs) known.push_back(each.name);
  return {.code = ErrorCode::kConfigInvalid,
          .what = fmt::format("{} has no parameter \"{}\"", owner, name.substr(0, 64)),
          .hint = nearest_name_hint(name, known)};
}

Result<void> check_parameter(std::string_view owner, const ParameterSpec& parameter, const ParameterValue& value) {
  if (!has_type(value, parameter.type))
    return wrong_value(owner, parameter.name, shown(value), parameter_type_name(parameter.type));
  switch (parameter.type) {
    case ParameterType::kInteger:
    case ParameterType::kNumber: return check_number(owner, parameter, value);
    case ParameterType::kText:
    case ParameterType::kDuration: return check_text(owner, parameter, std::get<std::string>(value));
    case ParameterType::kObjectList:
      for (const Parameters& each : std::get<ObjectList>(value)) {
        LLMD_TRY_VOID(check_parameters(fmt::format("{}: {}", owner, parameter.name), parameter.fields, each));
      }
      return {};
    default: return {};
  }
}

Result<void> check_parameters(std::string_view owner, std::span<const ParameterSpec> specs,
                              const Parameters& parameters) {
  for (const auto& [name, value] : parameters.values()) {
    const ParameterSpec* parameter = find_parameter(specs, name);
    if (parameter == nullptr) return std::unexpected(unknown_parameter(owner, specs, name));
    LLMD_TRY_VOID(check_parameter(owner, *parameter, value));
  }
  for (const ParameterSpec& each : specs) {
    if (!each.required || parameters.find(each.name) != nullptr) continue;
    return fail(ErrorCode::kConfigInvalid, fmt::format("{} needs the parameter \"{}\"", owner, each.name),
                std::string{each.help});
  }
  return {};
}

std::optional<milliseconds> parse_go_duration(std::string_view text) noexcept {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1},     {"us", 1e-3}, {"µs", 1e-3}, {"ns", 1e-6},
                                                            {"s", 1000.0}, {"m", 6e4},   {"h", 36e5}};
  constexpr double kYear = 365 * 24 * 36e5;
  if (text == "0") return milliseconds{};
  double total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double number = 0;
    const auto [rest, status] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (status != std::errc{} || !(number >= 0)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    const auto* const unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                          [&](const auto& each) { return text.starts_with(each.first); });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(unit->first.size());
    total += number * unit->second;
  }
  if (total > kYear) return std::nullopt;
  return milliseconds{static_cast<std::int64_t>(total)};
}

}  // namespace llmd::scheduling
