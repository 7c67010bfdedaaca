#pragma once

#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

/// fcfs-ordering-policy: first come, first served.
class FcfsOrdering final : public OrderingPolicy {
 public:
  [[nodiscard]] std::int64_t key(const OrderFacts& facts) const noexcept override;
};

}  // namespace llmd::flow
