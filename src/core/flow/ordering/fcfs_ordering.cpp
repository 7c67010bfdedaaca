#include "flow/ordering/fcfs_ordering.h"

namespace llmd::flow {

std::int64_t FcfsOrdering::key(const OrderFacts& facts) const noexcept { return key_of(facts.enqueued); }

}  // namespace llmd::flow
