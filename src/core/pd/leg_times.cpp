#include "pd/leg_times.h"

#include <algorithm>

namespace llmd::pd {
namespace {

constexpr float kVoteMax = 16;

}  // namespace

LegTimes expected_legs(const Decision& decision, const RequestFacts& request,
                       const DefaultObjectives& objectives) noexcept {
  if (!decision.latency.known) return {};
  const float ttft_objective = std::max(1.0F, request.slo_ttft_ms.value_or(objectives.ttft_ms));
  const float tpot_objective = std::max(0.1F, request.slo_tpot_ms.value_or(objectives.tpot_ms));
  const float prefill_ms = decision.prefill == nullptr ? 0.0F : decision.prefill_latency.ttft_ms;
  // One request that hopes for the impossible must not outvote all others.
  const auto vote = [](float time, float objective) { return std::clamp(time / objective, 0.0F, kVoteMax); };
  return {.prefill = vote(prefill_ms, ttft_objective),
          .first_token = vote(decision.latency.ttft_ms - prefill_ms, ttft_objective),
          .token = vote(decision.latency.tpot_ms, tpot_objective)};
}

}  // namespace llmd::pd
