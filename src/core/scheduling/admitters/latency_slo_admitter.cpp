#include "scheduling/admitters/latency_slo_admitter.h"

#include <array>

namespace llmd::scheduling {
namespace {

constexpr float kColdBelow = 0.02F;
constexpr std::array kParameters{
    ParameterSpec{.name = "latencyPredictionInfoProducerName",
                  .type = ParameterType::kText,
                  .help = "the producer of predictions; empty: the only one",
                  .refers = PluginKind::kDataProducer},
};

/// Predictions say little of it, or it has nothing else to do. An endpoint without data may be either.
bool may_surprise(const PluginInput& input, EndpointIndex endpoint) noexcept {
  const EndpointState& state = input.endpoints[endpoint];
  return input.fresh(state.kv_usage).value_or(0.0F) < kColdBelow ||
         input.fresh(state.running_requests).value_or(0) == 0;
}

}  // namespace

constinit const PluginSpec LatencySloAdmitter::kSpec{
    .type = "latency-slo-admitter",
    .kind = PluginKind::kAdmitter,
    .help = "refuses requests of negative priority whose latency objectives no endpoint would meet",
    .parameters = kParameters,
    .make = [](const ParameterReader& parameters) -> MadePlugin {
      LLMD_TRY(LatencyRules rules, latency_rules(parameters));
      return std::make_unique<const LatencySloAdmitter>(std::move(rules));
    },
    .inputs = "predicted TTFT and TPOT, running requests, KV use; the request's priority and objectives",
    .no_data = "admits",
};

const char* LatencySloAdmitter::refuses(const PluginInput& input,
                                        std::span<const EndpointIndex> candidates) const noexcept {
  if (input.request.priority >= 0 || !has_latency_objective(rules_, input.request)) return nullptr;
  bool predicted = false;
  for (const EndpointIndex i : candidates) {
    if (may_surprise(input, i)) return nullptr;
    const std::optional<LatencyHeadroom> headroom = latency_headroom(rules_, input, i);
    if (!headroom) continue;
    if (headroom->met()) return nullptr;
    predicted = true;
  }
  return predicted ? "no endpoint is predicted to meet the latency objectives" : nullptr;
}

}  // namespace llmd::scheduling
