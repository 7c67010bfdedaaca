#include "flow/ordering/edf_ordering.h"

namespace llmd::flow {

std::int64_t EdfOrdering::key(const OrderFacts& facts) const noexcept {
  return facts.ttl > Duration{} ? key_of(facts.enqueued + facts.ttl) : kOrderedLast;
}

}  // namespace llmd::flow
