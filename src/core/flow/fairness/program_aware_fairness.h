#pragma once

#include "flow/fairness/fairness_index.h"

namespace llmd::flow {

/// program-aware-fairness: the flow with the highest w_s * (1 - service) + w_w * wait, where service is the tokens that
/// it attained (an output token counts twice), halved each half-life, and wait how long its head has waited, each as a
/// share of the range over the active flows. Prompts count when a request is let through, not only when it has ended as
/// in llm-d: else all dispatches of one step would go to one flow. The best flow is searched from the least served and
/// from the longest waiting ones, which is exact within kSearched of each and near it beyond.
/// O(log flows + kSearched).
class ProgramAwareFairness final : public FairnessPolicy {
 public:
  struct Options {
    double service_weight = 0.8;
    double wait_weight = 0.2;
    Duration half_life = seconds{60};    // 0: nothing is forgotten
    Duration idle_max = seconds{3'600};  // then an idle flow's account is forgotten
  };
  static constexpr int kSearched = 64;
  explicit ProgramAwareFairness(Options options) noexcept : options_{options} {}
  [[nodiscard]] std::unique_ptr<FairnessIndex> make_index() const override;
  [[nodiscard]] Duration idle_max() const noexcept override { return options_.idle_max; }
  [[nodiscard]] bool program_aware() const noexcept override { return true; }

 private:
  Options options_;
};

}  // namespace llmd::flow
