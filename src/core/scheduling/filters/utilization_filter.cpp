#include "scheduling/filters/utilization_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

using Load = UtilizationFilter::Load;

constexpr std::array<std::string_view, 4> kLoads{"active-requests", "running-requests", "waiting-queue",
                                                 "kv-cache-utilization"};  // as Load counts
constexpr std::array kCondition{
    ParameterSpec{
        .name = "metric", .type = ParameterType::kText, .choices = kLoads, .help = "what is limited", .required = true},
    ParameterSpec{.name = "maxValue",
                  .type = ParameterType::kNumber,
                  .help = "requests, or a share of 1 for kv-cache-utilization; the most that a kept endpoint has",
                  .required = true},
};
constexpr std::array kParameters{
    ParameterSpec{.name = "conditions",
                  .type = ParameterType::kObjectList,
                  .help = "limits; a kept endpoint is within all of them",
                  .required = true,
                  .fields = kCondition},
    ParameterSpec{
        .name = "fallbackOnEmpty", .type = ParameterType::kBool, .help = "keep all candidates rather than none"},
    ParameterSpec{.name = "inFlightLoadProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer of active-requests; the pool always counts them",
                  .support = Support::kNoEffect,
                  .refers = PluginKind::kDataProducer},
};

MadePlugin make(const ParameterReader& parameters) {
  UtilizationFilter::Options options{.conditions = {}, .falls_back = parameters.flag("fallbackOnEmpty")};
  for (const ParameterReader& each : parameters.objects("conditions")) {
    const auto load = static_cast<Load>(std::ranges::find(kLoads, each.text("metric")) - kLoads.begin());
    const float max = each.real("maxValue");
    if (load == Load::kKvCacheUse && max > 1) {
      return fail(ErrorCode::kConfigInvalid,
                  fmt::format("utilization-filter: maxValue of kv-cache-utilization is {}; expected at most 1", max),
                  "it is a share, not a percentage");
    }
    options.conditions.push_back({.load = load, .max = max});
  }
  if (options.conditions.empty())
    return fail(ErrorCode::kConfigInvalid, "utilization-filter: conditions is empty", "give at least one");
  return std::make_unique<const UtilizationFilter>(std::move(options));
}

float value_of(Load load, const PluginInput& input, EndpointIndex endpoint) noexcept {
  const EndpointState& state = input.endpoints[endpoint];
  switch (load) {
    case Load::kActiveRequests: return static_cast<float>(input.inflight_requests(endpoint));
    case Load::kRunningRequests: return static_cast<float>(input.fresh(state.running_requests).value_or(0));
    case Load::kWaitingQueue: return static_cast<float>(input.fresh(state.waiting_requests).value_or(0));
    case Load::kKvCacheUse: return input.fresh(state.kv_usage).value_or(0.0F);
  }
  return 0;
}

}  // namespace

constinit const PluginSpec UtilizationFilter::kSpec{
    .type = "utilization-filter",
    .kind = PluginKind::kFilter,
    .help = "keeps endpoints that are within limits on requests and KV use",
    .parameters = kParameters,
    .make = make,
    .stability = Stability::kAlpha,
    .inputs = "requests in flight, running, waiting; KV use",
    .no_data = "counts as 0, so the endpoint is kept",
};

const UtilizationFilter::Condition* UtilizationFilter::broken(const PluginInput& input,
                                                              EndpointIndex endpoint) const noexcept {
  const auto found = std::ranges::find_if(
      options_.conditions, [&](const Condition& each) { return value_of(each.load, input, endpoint) > each.max; });
  return found == options_.conditions.end() ? nullptr : &*found;
}

std::size_t UtilizationFilter::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  const auto wanted = [&](EndpointIndex i) { return broken(input, i) == nullptr; };
  return options_.falls_back ? keep_if_any(candidates, wanted) : keep_if(candidates, wanted);
}

std::string UtilizationFilter::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const Condition* condition = broken(input, endpoint);
  if (condition == nullptr) return {};
  return fmt::format("{} is {}; wanted at most {}", kLoads[static_cast<std::size_t>(condition->load)],
                     value_of(condition->load, input, endpoint), condition->max);
}

}  // namespace llmd::scheduling
