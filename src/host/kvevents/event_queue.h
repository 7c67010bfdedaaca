#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "kvevents/event_metrics.h"
#include "kvevents/wake.h"
#include "model/kv_event.h"

namespace llmd::kvevents {

struct QueuedBatch {
  std::uint64_t seq = 0;
  double unix_s = 0;
  std::vector<KvEvent> events;
};

/// From an engine's thread to the publisher's. What finds no room is dropped, but takes a number all the same:
/// consumers then see a gap. One batch always finds room, however large. Thread-safe.
class EventQueue final : public KvEventSink {
 public:
  struct Options {
    std::size_t batches_max = 100'000;
    std::size_t bytes_max = std::size_t{64} << 20;
  };
  /// Wake and metrics must outlive its last call.
  EventQueue(Options options, const Wake& wake, EventMetrics& metrics) noexcept
      : options_{options}, wake_{wake}, metrics_{metrics} {}

  void on_kv_events(std::vector<KvEvent>&& events) noexcept override;
  /// Whether something waits. Lock-free.
  [[nodiscard]] bool waiting() const noexcept { return waiting_.load(std::memory_order_acquire); }
  /// All that waits, in order.
  [[nodiscard]] std::vector<QueuedBatch> take();

 private:
  const Options options_;
  const Wake& wake_;
  EventMetrics& metrics_;
  std::mutex mutex_;
  std::vector<QueuedBatch> batches_;
  std::size_t bytes_ = 0;
  std::atomic<bool> waiting_{false};
  std::uint64_t next_seq_ = 0;
};

}  // namespace llmd::kvevents
