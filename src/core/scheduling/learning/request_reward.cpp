#include "scheduling/learning/request_reward.h"

#include "base/clock.h"

namespace llmd::scheduling {
namespace {

constexpr float kMetShare = 0.7F;  // of the reward, beside the smooth part

/// 1 at no latency, a half at the objective.
float ease(float latency_ms, float objective_ms) noexcept { return 1 / (1 + latency_ms / objective_ms); }

}  // namespace

std::optional<float> request_reward(const WeightTrial& trial, const Outcome& outcome) noexcept {
  if (outcome.cancelled || outcome.retries > 0) return std::nullopt;
  if (outcome.endpoint_failed) return 0.0F;
  if (outcome.status != 200) return std::nullopt;
  const auto later = static_cast<float>(outcome.completion_tokens > 1 ? outcome.completion_tokens - 1 : 0);
  if (outcome.streamed <= Duration{}) {  // in one piece: only the whole was seen
    const float hoped_ms = trial.ttft_objective_ms + later * trial.tpot_objective_ms;
    const auto total_ms = static_cast<float>(to_milliseconds(outcome.total));
    return (total_ms <= hoped_ms ? kMetShare : 0) + (1 - kMetShare) * ease(total_ms, hoped_ms);
  }
  if (outcome.client_slow) return std::nullopt;
  const auto ttft_ms = static_cast<float>(to_milliseconds(outcome.ttft));
  const float tpot_ms = later > 0 ? static_cast<float>(to_milliseconds(outcome.streamed)) / later : 0;
  const bool met = ttft_ms <= trial.ttft_objective_ms && tpot_ms <= trial.tpot_objective_ms;
  const float smooth = ease(ttft_ms, trial.ttft_objective_ms) + ease(tpot_ms, trial.tpot_objective_ms);
  return (met ? kMetShare : 0) + (1 - kMetShare) / 2 * smooth;
}

}  // namespace llmd::scheduling
