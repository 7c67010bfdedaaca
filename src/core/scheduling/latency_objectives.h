#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "scheduling/plugin.h"
#include "scheduling/plugin_spec.h"

namespace llmd::scheduling {

/// How a prediction is held against what the client hopes for, as predicted-latency-producer is configured.
struct LatencyRules {
  bool streaming = false;    // predictions of the time per token are trained, so they count
  float slo_buffer = 1;      // the time per token may take so many times its objective
  std::string role_label{};  // an endpoint with the value "prefill" makes no tokens; empty: all do
};

/// Of the producer that the parameter latencyPredictionInfoProducerName names, else of the first there is.
/// Error kConfigInvalid: that one's parameters are wrong.
[[nodiscard]] Result<LatencyRules> latency_rules(const ParameterReader& parameters);

/// 1 if it makes no tokens.
[[nodiscard]] FixedValue prefill_mark(const LatencyRules& rules, const Endpoint& endpoint);

/// What is left of the objectives on one endpoint, negative if it is predicted to miss them.
struct LatencyHeadroom {
  float ttft_ms = 0;  // objective - prediction
  float tpot_ms = 0;  // buffer * min(objective, tightest one that runs there) - prediction

  [[nodiscard]] bool positive() const noexcept { return ttft_ms >= 0 && tpot_ms >= 0; }
  /// Faster than asked, not just as fast.
  [[nodiscard]] bool met() const noexcept { return ttft_ms > 0 && tpot_ms > 0; }
};

/// Whether the client gave an objective that predictions are held against.
[[nodiscard]] bool has_latency_objective(const LatencyRules& rules, const RequestFacts& request) noexcept;

/// What an objective that nobody gave counts as. llm-d takes it for 0 ms, so that a request with one objective misses
/// the other everywhere: right where endpoints are ranked (what comes first is nearest), wrong where they are refused.
enum class AbsentObjective : std::uint8_t { kNoLimit, kZero };

/// No value: there is no prediction for the endpoint. `input.fixed`, if there is any, holds prefill_mark().
[[nodiscard]] std::optional<LatencyHeadroom> latency_headroom(
    const LatencyRules& rules, const PluginInput& input, EndpointIndex endpoint,
    AbsentObjective absent = AbsentObjective::kNoLimit) noexcept;

}  // namespace llmd::scheduling
