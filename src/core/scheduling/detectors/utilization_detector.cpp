#include "scheduling/detectors/utilization_detector.h"

#include <fmt/format.h>

#include <array>

#include "scheduling/filters/keep_if.h"

namespace llmd::scheduling {
namespace {

constexpr std::array kParameters{
    ParameterSpec{.name = "queueDepthThreshold",
                  .type = ParameterType::kInteger,
                  .number = 5,
                  .min = 1,
                  .max = 1e9,
                  .help = "waiting requests at which an endpoint is full"},
    ParameterSpec{.name = "kvCacheUtilThreshold",
                  .type = ParameterType::kNumber,
                  .number = 0.8,
                  .max = 1,
                  .help = "share of KV memory in use at which an endpoint is full; more than 0"},
    ParameterSpec{
        .name = "metricsStalenessThreshold",
        .type = ParameterType::kDuration,
        .text = "200ms",
        .help = "an endpoint whose metrics are older counts as full; at least 1ms. Not below what a scrape takes"},
    ParameterSpec{.name = "headroom",
                  .type = ParameterType::kNumber,
                  .help = "share beyond the thresholds that the filter lets a single endpoint have"},
};

MadePlugin make(const ParameterReader& parameters) {
  const UtilizationDetector::Options options{.waiting_full = parameters.real("queueDepthThreshold"),
                                             .kv_usage_full = parameters.real("kvCacheUtilThreshold"),
                                             .age_max = parameters.duration("metricsStalenessThreshold"),
                                             .headroom = parameters.real("headroom")};
  if (!(options.kv_usage_full > 0)) {
    return fail(ErrorCode::kConfigInvalid, "utilization-detector: kvCacheUtilThreshold is 0; expected more",
                "a share of 1, such as 0.8");
  }
  if (options.age_max <= Duration{}) {
    return fail(ErrorCode::kConfigInvalid,
                "utilization-detector: metricsStalenessThreshold is below 1ms; every reading would be too old",
                "longer than a scrape interval, such as 200ms");
  }
  return std::make_unique<const UtilizationDetector>(options);
}

}  // namespace

constinit const PluginSpec UtilizationDetector::kSpec{
    .type = "utilization-detector",
    .kind = PluginKind::kSaturationDetector,
    .help = "saturation by waiting requests and KV use; as a filter it drops full endpoints",
    .parameters = kParameters,
    .make = make,
    .inputs = "waiting requests, KV use",
    .no_data = "counts as full; the filter drops it unless it would drop all",
};

float UtilizationDetector::saturation(const PluginInput& input,
                                      std::span<const EndpointIndex> endpoints) const noexcept {
  constexpr float kFull = 1;
  if (endpoints.empty()) return kFull;
  float sum = 0;
  for (const EndpointIndex i : endpoints) {
    const std::optional<EngineLoad> load = engine_load(input, i, options_.age_max);
    sum += load ? load->ratio(options_.waiting_full, options_.kv_usage_full) : kFull;
  }
  return sum / static_cast<float>(endpoints.size());
}

std::size_t UtilizationDetector::filter(const PluginInput& input, std::span<EndpointIndex> candidates) const noexcept {
  return keep_if_any(candidates, [&](EndpointIndex i) {
    const std::optional<EngineLoad> load = engine_load(input, i, options_.age_max);
    return load && load->waiting < waiting_limit() && load->kv_usage < kv_usage_limit();
  });
}

std::string UtilizationDetector::reason(const PluginInput& input, EndpointIndex endpoint) const {
  const std::optional<EngineLoad> load = engine_load(input, endpoint, options_.age_max);
  if (!load) return "its metrics are missing or too old; wanted fresh ones";
  if (load->waiting >= waiting_limit())
    return fmt::format("has {} waiting requests; wanted less than {}", load->waiting, waiting_limit());
  return fmt::format("has {} of its KV memory in use; wanted less than {}", load->kv_usage, kv_usage_limit());
}

}  // namespace llmd::scheduling
