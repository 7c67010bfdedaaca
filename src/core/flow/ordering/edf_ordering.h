#pragma once

#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

/// edf-ordering-policy: the request whose time to live ends first; those without one last.
class EdfOrdering final : public OrderingPolicy {
 public:
  [[nodiscard]] std::int64_t key(const OrderFacts& facts) const noexcept override;
};

}  // namespace llmd::flow
