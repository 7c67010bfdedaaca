#include "flow/ordering/shortest_uncached_prefill_ordering.h"

namespace llmd::flow {

std::int64_t ShortestUncachedPrefillOrdering::key(const OrderFacts& facts) const noexcept {
  return key_of(facts.enqueued + std::int64_t{facts.uncached_tokens} * per_token_);
}

}  // namespace llmd::flow
