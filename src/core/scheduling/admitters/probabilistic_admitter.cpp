#include "scheduling/admitters/probabilistic_admitter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "scheduling/detectors/engine_load.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "queueDepthThreshold",
                  .type = ParameterType::kInteger,
                  .number = 5,
                  .min = 1,
                  .max = 1e9,
                  .help = "waiting requests at which an endpoint is saturated"},
    ParameterSpec{.name = "kvCacheUtilThreshold",
                  .type = ParameterType::kNumber,
                  .number = 0.8,
                  .help = "share of KV memory in use at which an endpoint is saturated; more than 0"},
    ParameterSpec{.name = "power",
                  .type = ParameterType::kNumber,
                  .number = 5,
                  .help = "more than 0; higher refuses less at low load, and rises more steeply"},
    ParameterSpec{
        .name = "k", .type = ParameterType::kNumber, .number = 300, .help = "more than 0; higher refuses earlier"},
};

MadePlugin make(const ParameterReader& parameters) {
  for (const std::string_view name : {"kvCacheUtilThreshold", "power", "k"}) {
    if (parameters.number(name) > 0) continue;
    return fail(ErrorCode::kConfigInvalid, fmt::format("probabilistic-admitter: {} is 0; expected more", name),
                "parameters and defaults: docs/plugins.md");
  }
  return std::make_unique<const ProbabilisticAdmitter>(
      ProbabilisticAdmitter::Options{.waiting_full = parameters.real("queueDepthThreshold"),
                                     .kv_usage_full = parameters.real("kvCacheUtilThreshold"),
                                     .power = parameters.number("power"),
                                     .k = parameters.number("k")});
}

}  // namespace

constinit const PluginSpec ProbabilisticAdmitter::kSpec{
    .type = "probabilistic-admitter",
    .kind = PluginKind::kAdmitter,
    .help = "refuses requests of negative priority the more likely, the fuller the endpoints are",
    .parameters = kParameters,
    .make = make,
    .inputs = "waiting requests, KV use; the request's priority",
    .no_data = "counts as saturated",
};

double ProbabilisticAdmitter::probability(const PluginInput& input,
                                          std::span<const EndpointIndex> candidates) const noexcept {
  if (candidates.empty()) return 0;
  double sum = 0;
  for (const EndpointIndex i : candidates) {
    const std::optional<EngineLoad> load = engine_load(input, i, input.metric_age_max);
    sum += load ? static_cast<double>(load->ratio(options_.waiting_full, options_.kv_usage_full)) : 1.0;
  }
  return std::min(1.0, std::pow(sum / static_cast<double>(candidates.size()), options_.power) * options_.k);
}

const char* ProbabilisticAdmitter::refuses(const PluginInput& input,
                                           std::span<const EndpointIndex> candidates) const noexcept {
  if (input.request.priority >= 0 || input.chance >= probability(input, candidates)) return nullptr;
  return "the endpoints are too loaded for a request of negative priority";
}

}  // namespace llmd::scheduling
