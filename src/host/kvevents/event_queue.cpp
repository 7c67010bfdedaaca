#include "kvevents/event_queue.h"

#include <chrono>
#include <utility>

#include "kvevents/encode_batch.h"

namespace llmd::kvevents {

void EventQueue::on_kv_events(std::vector<KvEvent>&& events) noexcept {
  const double unix_s = std::chrono::duration<double>{std::chrono::system_clock::now().time_since_epoch()}.count();
  const std::size_t bytes = approximate_bytes(events);
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    const std::uint64_t seq = next_seq_++;
    const bool too_many_bytes = !batches_.empty() && bytes_ + bytes > options_.bytes_max;
    if (batches_.size() >= options_.batches_max || too_many_bytes) {
      metrics_.dropped_queue.add();
      return;
    }
    first = !waiting_.exchange(true, std::memory_order_acq_rel);
    bytes_ += bytes;
    batches_.push_back({.seq = seq, .unix_s = unix_s, .events = std::move(events)});
  }
  if (first) wake_.signal();
}

std::vector<QueuedBatch> EventQueue::take() {
  const std::lock_guard lock{mutex_};
  bytes_ = 0;
  waiting_.store(false, std::memory_order_release);
  return std::exchange(batches_, {});
}

}  // namespace llmd::kvevents
