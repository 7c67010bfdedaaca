#include "flow/ordering/slo_deadline_ordering.h"

namespace llmd::flow {

std::int64_t SloDeadlineOrdering::key(const OrderFacts& facts) const noexcept {
  return facts.ttft_objective ? key_of(facts.received + *facts.ttft_objective) : kOrderedLast;
}

}  // namespace llmd::flow
