#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "runtime/loop.h"

namespace llmd {

/// A deadline that moves often. Moving it later is one store: the timer under it is armed again only when it fires too
/// early, so a busy connection pays for a timer once in a timeout and not once a request. Belongs to one loop.
class Deadline {
 public:
  /// `on_expired` runs on the loop, each time that a set deadline passes.
  Deadline(asio::io_context::executor_type executor, std::move_only_function<void()> on_expired);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void set(TimePoint due);
  void clear() noexcept;

 private:
  struct State;
  static void arm(const std::shared_ptr<State>& state);
  static void on_timer(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace llmd
