#include "scheduling/prediction/expected_cost.h"

#include <algorithm>
#include <cmath>

namespace llmd::scheduling {
namespace {

constexpr float kObjectiveMinMs = 0.1F;
constexpr float kShareMax = 0.9F;    // a queue that is nearly full delays a tenfold
constexpr float kQuickPace = 0.25F;  // of the objective: it hardly matters how much quicker tokens come

/// The chance that what is expected as mean and deviation comes out above the limit: logistic, near enough to normal.
float chance_above(float limit, float mean, float deviation) noexcept {
  const float z = (mean - limit) / std::max(deviation, 0.05F * limit);
  return 1.0F / (1.0F + std::exp(-1.7F * std::clamp(z, -20.0F, 20.0F)));
}

/// What a time per token costs, in objectives: from kQuickPace on each millisecond counts alike, before that the less
/// the quicker tokens come.
float pace_cost(float tpot_ms, float limit) noexcept {
  const float share = tpot_ms / limit;
  return share < kQuickPace ? share * share / (2.0F * kQuickPace) : share - 0.5F * kQuickPace;
}
/// What `more` ms a token cost one who has `tpot_ms`.
float slower_cost(float more, float tpot_ms, float limit) noexcept {
  return pace_cost(tpot_ms + more, limit) - pace_cost(tpot_ms, limit);
}

}  // namespace

CostOptions read_cost_options(const ParameterReader& parameters) {
  return {.ttft_objective_ms = parameters.number("ttftObjectiveMs"),
          .tpot_objective_ms = parameters.number("tpotObjectiveMs"),
          .miss_weight = parameters.number("missWeight"),
          .harm_weight = parameters.number("harmWeight")};
}

// What a request hopes for itself says nothing of what others hope for.
ExpectedCost::ExpectedCost(const CostOptions& options, const PluginInput& input) noexcept
    : input_{input},
      ttft_limit_{
          std::max(kObjectiveMinMs, input.request.slo_ttft_ms.value_or(static_cast<float>(options.ttft_objective_ms)))},
      tpot_limit_{
          std::max(kObjectiveMinMs, input.request.slo_tpot_ms.value_or(static_cast<float>(options.tpot_objective_ms)))},
      others_ttft_limit_{static_cast<float>(options.ttft_objective_ms)},
      others_tpot_limit_{static_cast<float>(options.tpot_objective_ms)},
      miss_weight_{static_cast<float>(options.miss_weight)},
      harm_weight_{static_cast<float>(options.harm_weight)} {}

float ExpectedCost::own(const Own& expected) const noexcept {
  const float miss = 1.0F - (1.0F - chance_above(ttft_limit_, expected.ttft_ms, expected.ttft_deviation_ms)) *
                                (1.0F - chance_above(tpot_limit_, expected.tpot_ms, expected.tpot_deviation_ms));
  return expected.ttft_ms / ttft_limit_ + pace_cost(expected.tpot_ms, tpot_limit_) + miss_weight_ * miss;
}

float ExpectedCost::harm_to_later(const LatencyPrediction& p) const noexcept {
  const float later = p.arrivals_per_s * p.prefill_ms / 1'000.0F / (1.0F - std::min(kShareMax, p.prefill_share));
  // A wait of any length up to the prompt's; none loses more by it than it would by going to the next best endpoint.
  const float bound = std::min(p.advantage_ms, p.prefill_ms);
  const float loss_ms = p.prefill_ms > 0 ? bound * (1.0F - 0.5F * bound / p.prefill_ms) : 0.0F;
  return later * loss_ms / others_ttft_limit_;
}

float ExpectedCost::here(EndpointIndex i) const noexcept {
  const LatencyPrediction& p = input_.predictions[i];
  const auto others = static_cast<float>(input_.inflight_requests(i));
  // Each of the others waits once for this prompt, which its tokens share, and each of its tokens for one sequence
  // more. Where answers are never made (a prefill endpoint), none waits so.
  const float prompt_share = p.output_tokens > 0 ? p.prefill_ms / std::max(1.0F, p.output_tokens) : 0.0F;
  const float harm =
      others * slower_cost(prompt_share + p.sequence_ms, p.tpot_ms, others_tpot_limit_) + harm_to_later(p);
  return own({p.ttft_ms, p.ttft_deviation_ms, p.tpot_ms, p.tpot_deviation_ms}) + harm_weight_ * harm;
}

float ExpectedCost::apart(EndpointIndex prefill, EndpointIndex decode, const LinkSpeed& link) const noexcept {
  const LatencyPrediction& p = input_.predictions[prefill];
  const HandoffPrediction& h = input_.handoffs[decode];
  const std::uint32_t prompt = input_.request.prompt_tokens;
  const float moved = static_cast<float>(prompt - std::min(prompt, input_.matched_tokens(decode))) / 1'000.0F;
  const float handoff = handoff_ms(h, moved, link);
  const float handoff_deviation = h.deviation * handoff;
  const float ttft_deviation =
      std::sqrt(p.ttft_deviation_ms * p.ttft_deviation_ms + handoff_deviation * handoff_deviation);
  const auto others = static_cast<float>(input_.inflight_requests(decode));
  const float sequence_ms = here_known(decode) ? input_.predictions[decode].sequence_ms : 0.0F;
  float harm = others * slower_cost(sequence_ms, h.tpot_ms, others_tpot_limit_) + harm_to_later(p);
  if (p.output_tokens > 0) {
    harm += static_cast<float>(input_.inflight_requests(prefill)) *
            slower_cost(p.prefill_ms / std::max(1.0F, p.output_tokens), p.tpot_ms, others_tpot_limit_);
  }
  return own({p.ttft_ms + handoff, ttft_deviation, h.tpot_ms, h.tpot_deviation_ms}) + harm_weight_ * harm;
}

}  // namespace llmd::scheduling
