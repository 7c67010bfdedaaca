#include "flow/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "flow/fairness/global_strict_fairness.h"
#include "flow/fairness/program_aware_fairness.h"
#include "flow/fairness/round_robin_fairness.h"
#include "flow/fairness/virtual_token_counter_fairness.h"
#include "flow/limits/priority_holdback.h"
#include "flow/limits/soft_reflective_ceiling.h"
#include "flow/limits/static_usage_limit.h"
#include "flow/ordering/edf_ordering.h"
#include "flow/ordering/fcfs_ordering.h"
#include "flow/ordering/shortest_uncached_prefill_ordering.h"
#include "flow/ordering/slo_deadline_ordering.h"
#include "flow/policy_specs.h"

namespace llmd::flow {
namespace {

using scheduling::ParameterReader;
using scheduling::ParameterType;
using scheduling::PluginInstance;
using scheduling::PluginKind;
using scheduling::PluginSpec;

Duration seconds_of(double value) {
  constexpr double kYear = 365.0 * 86'400;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::clamp(value, 0.0, kYear)));
}

std::shared_ptr<const FairnessPolicy> make_fairness(std::string_view type, const ParameterReader& parameters) {
  if (type == "round-robin-fairness-policy") return std::make_shared<const RoundRobinFairness>();
  if (type == "virtual-token-counter-fairness-policy") {
    return std::make_shared<const VirtualTokenCounterFairness>(
        VirtualTokenCounterFairness::Options{.input_weight = parameters.number("inputTokenWeight"),
                                             .output_weight = parameters.number("outputTokenWeight")});
  }
  if (type == "program-aware-fairness") {
    return std::make_shared<const ProgramAwareFairness>(
        ProgramAwareFairness::Options{.service_weight = parameters.number("lasWeightService"),
                                      .wait_weight = parameters.number("lasWeightHeadWait"),
                                      .half_life = seconds_of(parameters.number("lasHalfLifeSeconds")),
                                      .idle_max = seconds_of(parameters.number("evictionTtlSeconds"))});
  }
  return std::make_shared<const GlobalStrictFairness>();
}

std::shared_ptr<const OrderingPolicy> make_ordering(std::string_view type, const ParameterReader& parameters) {
  if (type == "edf-ordering-policy") return std::make_shared<const EdfOrdering>();
  if (type == "slo-deadline-ordering-policy") return std::make_shared<const SloDeadlineOrdering>();
  if (type == "shortest-uncached-prefill-ordering-policy") {
    return std::make_shared<const ShortestUncachedPrefillOrdering>(
        seconds_of(parameters.number("millisecondsPerToken") / 1e3));
  }
  return std::make_shared<const FcfsOrdering>();
}

Result<std::shared_ptr<UsageLimitPolicy>> make_usage_limit(std::string_view type, const ParameterReader& parameters) {
  if (type == "soft-reflective-ceiling-policy") return std::make_shared<SoftReflectiveCeiling>();
  if (type == "priority-holdback-policy") {
    const auto domain =
        parameters.text("domain") == "value" ? PriorityHoldback::Domain::kValue : PriorityHoldback::Domain::kRank;
    const double lowest = parameters.number("minCeiling");
    const double highest = parameters.number("maxCeiling");
    if (lowest > highest) {
      return fail(ErrorCode::kConfigInvalid,
                  fmt::format("priority-holdback-policy: minCeiling {} is above maxCeiling {}", lowest, highest),
                  "the lowest band waits first, so its ceiling is the lower one");
    }
    return std::make_shared<PriorityHoldback>(PriorityHoldback::Options{
        .ceiling_min = parameters.real("minCeiling"), .ceiling_max = parameters.real("maxCeiling"), .domain = domain});
  }
  return std::make_shared<StaticUsageLimit>(parameters.real("threshold"));
}

/// A plugin of the configuration with its type; a type's name alone stands for one with its defaults.
struct Chosen {
  const PluginSpec* spec;
  PluginInstance instance;

  [[nodiscard]] ParameterReader reader() const { return {spec->parameters, instance.parameters}; }
  [[nodiscard]] std::string signature() const {
    std::string text{spec->type};
    for (const scheduling::ParameterSpec& parameter : spec->parameters) {
      text.append(" ").append(parameter.name).append("=");
      text += parameter.type == ParameterType::kText ? reader().text(parameter.name)
                                                     : std::to_string(reader().number(parameter.name));
    }
    return text;
  }
};

Result<Chosen> choose(const FlowConfig& config, const std::string& name, PluginKind kind) {
  const auto found = std::ranges::find(config.policies, name, &PluginInstance::name);
  Chosen chosen{.spec = nullptr, .instance = {.name = name, .type = name}};
  if (found != config.policies.end()) chosen.instance = *found;
  const auto spec = std::ranges::find(policy_specs(), chosen.instance.type, &PluginSpec::type);
  if (spec == policy_specs().end() || spec->kind != kind) {
    return fail(ErrorCode::kConfigInvalid,
                "flowControl names \"" + name + "\", which is not " + scheduling::a_plugin_kind(kind));
  }
  LLMD_TRY_VOID(scheduling::check_parameters(spec->type, spec->parameters, chosen.instance.parameters));
  chosen.spec = &*spec;
  return chosen;
}

Result<BandRules> band_rules(const FlowConfig& config, const BandConfig& band) {
  LLMD_TRY(const Chosen fairness, choose(config, band.fairness, PluginKind::kFairnessPolicy));
  LLMD_TRY(const Chosen ordering, choose(config, band.ordering, PluginKind::kOrderingPolicy));
  return BandRules{.bytes_max = band.bytes_max,
                   .requests_max = band.requests_max,
                   .fairness = {make_fairness(fairness.spec->type, fairness.reader()), fairness.signature()},
                   .ordering = {make_ordering(ordering.spec->type, ordering.reader()), ordering.signature()}};
}

}  // namespace

Result<FlowRules> make_rules(const FlowConfig& config) {
  FlowRules rules{.bytes_max = config.bytes_max,
                  .requests_max = config.requests_max,
                  .ttl = config.ttl,
                  .ttl_no_endpoint = config.ttl_no_endpoint.value_or(config.ttl),
                  .lower_band_patience = config.lower_band_patience,
                  .bands = {},
                  .other_band = {},
                  .other_negative_band = {},
                  .usage_limit = nullptr};
  for (const BandConfig& band : config.bands) {
    LLMD_TRY(BandRules made, band_rules(config, band));
    rules.bands.push_back({band.priority, std::move(made)});
  }
  std::ranges::sort(rules.bands, std::greater{}, &ListedBand::priority);
  const BandConfig other = config.default_band.value_or(BandConfig{});
  LLMD_TRY(rules.other_band, band_rules(config, other));
  LLMD_TRY(rules.other_negative_band, band_rules(config, config.default_negative_band.value_or(other)));
  LLMD_TRY(const Chosen limit, choose(config, config.usage_limit, PluginKind::kUsageLimitPolicy));
  LLMD_TRY(rules.usage_limit, make_usage_limit(limit.spec->type, limit.reader()));
  return rules;
}

}  // namespace llmd::flow
