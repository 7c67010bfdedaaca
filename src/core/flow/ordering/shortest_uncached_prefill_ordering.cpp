#include "flow/ordering/shortest_uncached_prefill_ordering.h"

#include <algorithm>

namespace llmd::flow {
namespace {

// Beyond it one yields to all that come while the server lives. The sum with a time stays far below the largest.
constexpr Duration kYieldMax = std::chrono::hours{24 * 365 * 100};

}  // namespace

std::int64_t ShortestUncachedPrefillOrdering::key(const OrderFacts& facts) const noexcept {
  const std::int64_t tokens_max = per_token_ > Duration{} ? kYieldMax / per_token_ : UINT32_MAX;
  return key_of(facts.enqueued + std::min<std::int64_t>(facts.uncached_tokens, tokens_max) * per_token_);
}

}  // namespace llmd::flow
