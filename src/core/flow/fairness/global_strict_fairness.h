#pragma once

#include "flow/fairness/fairness_index.h"

namespace llmd::flow {

/// global-strict-fairness-policy: no fairness between flows; the request that the ordering policy puts first over all
/// of them.
class GlobalStrictFairness final : public FairnessPolicy {
 public:
  [[nodiscard]] std::unique_ptr<FairnessIndex> make_index() const override;
};

}  // namespace llmd::flow
