#pragma once

#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

/// slo-deadline-ordering-policy: the request whose first token is due first; those without a TTFT objective last.
class SloDeadlineOrdering final : public OrderingPolicy {
 public:
  [[nodiscard]] std::int64_t key(const OrderFacts& facts) const noexcept override;
};

}  // namespace llmd::flow
