#include "kvevents/replay_buffer.h"

#include <algorithm>
#include <utility>

namespace llmd::kvevents {

void ReplayBuffer::add(PayloadHandle payload) {
  bytes_ += payload->bytes().size();
  batches_.push_back(std::move(payload));
  while (batches_.size() > 1 && (batches_.size() > options_.batches_max || bytes_ > options_.bytes_max)) {
    bytes_ -= batches_.front()->bytes().size();
    batches_.pop_front();
  }
}

Payload* ReplayBuffer::from(std::uint64_t seq) const noexcept {
  const auto found = std::partition_point(batches_.begin(), batches_.end(),
                                          [seq](const PayloadHandle& each) { return each->seq() < seq; });
  return found == batches_.end() ? nullptr : &**found;
}

}  // namespace llmd::kvevents
