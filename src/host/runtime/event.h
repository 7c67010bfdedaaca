#pragma once

#include <vector>

#include "base/clock.h"
#include "runtime/loop.h"

namespace llmd {

/// A flag that coroutines of one loop wait for. Not thread-safe: from another thread, post a set() to the loop. It must
/// outlive those that wait. A wait that does not suspend is free, one that does costs a timer (about 0.5 us).
class Event {
 public:
  explicit Event(Loop& loop) noexcept : executor_{loop.executor()} {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Wakes all that wait, and lets later waits pass until reset(). Not after Loop::discard(): those that waited are
  /// gone.
  void set();
  void reset() noexcept { set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return set_; }

  /// True once the event is set, false if `deadline` passes first.
  [[nodiscard]] Task<bool> wait_until(TimePoint deadline);

 private:
  asio::io_context::executor_type executor_;
  std::vector<Timer*> waiters_;
  bool set_ = false;
};

}  // namespace llmd
