#pragma once

#include "flow/fairness/fairness_index.h"

namespace llmd::flow {

/// virtual-token-counter-fairness-policy: the active flow that got the fewest weighted tokens (Sheng et al., "Fairness
/// in Serving Large Language Models", OSDI 2024). A flow that becomes active is lifted to the least counter among the
/// active ones, or to that of the last one that was served: what it did not use while idle went to the others and is
/// not owed to it, and its share is its own again at once. Here a flow is charged for its prompt and the output
/// that its requests had of late when a request is let through, and the difference when that has ended, as a gateway
/// does not see each token. README.md has the bound on unfairness.
class VirtualTokenCounterFairness final : public FairnessPolicy {
 public:
  struct Options {
    double input_weight = 1;   // of a token of a prompt
    double output_weight = 2;  // of a token of an answer; the paper's
  };
  explicit VirtualTokenCounterFairness(Options options) noexcept : options_{options} {}
  [[nodiscard]] std::unique_ptr<FairnessIndex> make_index() const override;

 private:
  Options options_;
};

}  // namespace llmd::flow
