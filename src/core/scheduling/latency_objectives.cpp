#include "scheduling/latency_objectives.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scheduling/producers/predicted_latency_producer.h"

namespace llmd::scheduling {
namespace {

constexpr float kNoLimit = std::numeric_limits<float>::infinity();

// As in llm-d, only a positive objective counts.
float limit_of(std::optional<float> objective) noexcept { return objective && *objective > 0 ? *objective : kNoLimit; }

}  // namespace

Result<LatencyRules> latency_rules(const ParameterReader& parameters) {
  const std::string named = parameters.text("latencyPredictionInfoProducerName");
  const PluginSpec& spec = PredictedLatencyProducer::kSpec;
  const PluginInstance* producer = named.empty() ? parameters.first_of(spec.type) : parameters.other(named);
  if (producer == nullptr || producer->type != spec.type) return LatencyRules{};
  LLMD_TRY_VOID(check_parameters(spec.type, spec.parameters, producer->parameters));
  const ParameterReader read{spec.parameters, producer->parameters};
  return LatencyRules{.streaming = read.flag("streamingMode"),
                      .slo_buffer = read.real("sloBufferFactor"),
                      .role_label = read.text("endpointRoleLabel")};
}

FixedValue prefill_mark(const LatencyRules& rules, const Endpoint& endpoint) {
  const auto role = endpoint.labels.find(rules.role_label);
  return {.low = role != endpoint.labels.end() && role->second == "prefill" ? 1.0F : 0.0F};
}

bool has_latency_objective(const LatencyRules& rules, const RequestFacts& request) noexcept {
  return limit_of(request.slo_ttft_ms) != kNoLimit || (rules.streaming && limit_of(request.slo_tpot_ms) != kNoLimit);
}

std::optional<LatencyHeadroom> latency_headroom(const LatencyRules& rules, const PluginInput& input,
                                                EndpointIndex endpoint, AbsentObjective absent) noexcept {
  if (input.predictions.empty()) return std::nullopt;
  const LatencyPrediction& prediction = input.predictions[endpoint];
  if (!prediction.known || std::isnan(prediction.ttft_ms) || std::isnan(prediction.tpot_ms)) return std::nullopt;
  const auto objective = [absent](std::optional<float> given) {
    return absent == AbsentObjective::kZero ? given.value_or(0.0F) : limit_of(given);
  };
  LatencyHeadroom headroom{.ttft_ms = objective(input.request.slo_ttft_ms) - prediction.ttft_ms,
                           .tpot_ms = absent == AbsentObjective::kZero ? 0.0F : kNoLimit};
  const bool prefills = !input.fixed.empty() && input.fixed[endpoint].low != 0;
  if (rules.streaming && !prefills) {
    const float limit = std::min(objective(input.request.slo_tpot_ms), limit_of(prediction.tpot_slo_running_ms));
    headroom.tpot_ms = limit * rules.slo_buffer - prediction.tpot_ms;
  }
  return headroom;
}

}  // namespace llmd::scheduling
