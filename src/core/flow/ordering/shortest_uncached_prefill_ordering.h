#pragma once

#include "flow/ordering/ordering_policy.h"

namespace llmd::flow {

/// shortest-uncached-prefill-ordering-policy: the request with the fewest tokens to compute first, aged so that a long
/// one does not wait for ever. Each uncached token counts as so much lateness: a request yields only to those that come
/// within tokens x per_token after it, however many those are. Being a time plus a constant, the key never changes.
class ShortestUncachedPrefillOrdering final : public OrderingPolicy {
 public:
  /// `per_token` 0 is first come, first served; higher lets short requests pass for longer.
  explicit ShortestUncachedPrefillOrdering(Duration per_token) noexcept : per_token_{per_token} {}
  [[nodiscard]] std::int64_t key(const OrderFacts& facts) const noexcept override;

 private:
  Duration per_token_;
};

}  // namespace llmd::flow
