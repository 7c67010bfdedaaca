#pragma once

#include <array>

#include "scheduling/plugin.h"
#include "scheduling/plugin_spec.h"
#include "scheduling/prediction/link_speed.h"

namespace llmd::scheduling {

/// What the expected cost of a placement weighs.
struct CostOptions {
  double ttft_objective_ms = 2'000;  // of requests that bring none
  double tpot_objective_ms = 50;
  double miss_weight = 1;  // of the chance to miss an objective, beside latencies in objectives
  double harm_weight = 1;  // of what others lose
};

inline constexpr ParameterSpec kTtftObjective{
    .name = "ttftObjectiveMs",
    .type = ParameterType::kNumber,
    .number = 2'000,
    .min = 1,
    .help = "hoped-for time to the first token of requests that bring none, in ms"};
inline constexpr ParameterSpec kTpotObjective{.name = "tpotObjectiveMs",
                                              .type = ParameterType::kNumber,
                                              .number = 50,
                                              .min = 0.1,
                                              .help = "hoped-for time per token of requests that bring none, in ms"};

/// The parameters of these options, for a plugin's specification.
inline constexpr std::array<ParameterSpec, 4> kCostParameters{
    kTtftObjective,
    kTpotObjective,
    ParameterSpec{.name = "missWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "how much the chance to miss an objective counts beside the latencies"},
    ParameterSpec{.name = "harmWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .help = "how much it counts what others lose; 0: each for itself"},
};
[[nodiscard]] CostOptions read_cost_options(const ParameterReader& parameters);

/// The expected cost of one request on each endpoint, in objectives: its own predicted latencies against what it hopes
/// for, the chance to miss them, and what others lose: the tokens that wait while its prompt is computed, what one more
/// sequence adds to each of theirs, and who comes while it is computed, unless another endpoint is as good for them.
/// Less is better; the values mean nothing else.
class ExpectedCost {
 public:
  ExpectedCost(const CostOptions& options, const PluginInput& input) noexcept;

  /// Endpoint `i` computes the prompt and answers. Pre: its prediction is known.
  [[nodiscard]] float here(EndpointIndex i) const noexcept;
  /// `prefill` computes the prompt, `decode` answers. Pre: apart_known() of both.
  [[nodiscard]] float apart(EndpointIndex prefill, EndpointIndex decode, const LinkSpeed& link) const noexcept;

  [[nodiscard]] bool here_known(EndpointIndex i) const noexcept {
    return i < input_.predictions.size() && input_.predictions[i].known;
  }
  [[nodiscard]] bool apart_known(EndpointIndex prefill, EndpointIndex decode) const noexcept {
    return here_known(prefill) && decode < input_.handoffs.size() && input_.handoffs[decode].known;
  }

 private:
  struct Own {
    float ttft_ms;
    float ttft_deviation_ms;
    float tpot_ms;
    float tpot_deviation_ms;
  };
  [[nodiscard]] float own(const Own& expected) const noexcept;
  /// Who comes while the prompt is computed, or while the queue it lengthens drains, waits for half of it, unless the
  /// next best endpoint is nearer.
  [[nodiscard]] float harm_to_later(const LatencyPrediction& p) const noexcept;

  const PluginInput& input_;
  float ttft_limit_;
  float tpot_limit_;
  float others_ttft_limit_;
  float others_tpot_limit_;
  float miss_weight_;
  float harm_weight_;
};

}  // namespace llmd::scheduling
