#pragma once

#include "flow/fairness/fairness_index.h"

namespace llmd::flow {

/// round-robin-fairness-policy: one request of each active flow in turn. A flow that becomes active comes last in the
/// turn under way. O(1).
class RoundRobinFairness final : public FairnessPolicy {
 public:
  [[nodiscard]] std::unique_ptr<FairnessIndex> make_index() const override;
};

}  // namespace llmd::flow
