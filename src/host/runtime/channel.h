#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd {

/// A bounded queue from any thread to one coroutine of a loop. The loop must outlive it. A push wakes the loop only if
/// the reader has seen all earlier ones.
template <class T>
class Channel {
 public:
  Channel(Loop& loop, std::size_t items_max) : state_{std::make_shared<State>(loop, items_max)} {}

  /// Thread-safe, never waits. False and `item` untouched if the queue is full or closed.
  [[nodiscard]] bool push(T&& item) {
    {
      const std::scoped_lock lock{state_->mutex};
      if (state_->closed || state_->items.size() >= state_->items_max) return false;
      state_->items.push_back(std::move(item));
      if (std::exchange(state_->notified, true)) return true;
    }
    state_->notify();
    return true;
  }

  /// Thread-safe. No more pushes; the reader gets what is queued and then nothing.
  void close() {
    {
      const std::scoped_lock lock{state_->mutex};
      state_->closed = true;
      if (std::exchange(state_->notified, true)) return;
    }
    state_->notify();
  }

  /// On the loop, one reader. The next item, or nothing if the channel is closed and empty, or `deadline` has passed.
  [[nodiscard]] Task<std::optional<T>> pop_until(TimePoint deadline) {
    const std::shared_ptr<State> state = state_;
    while (true) {
      {
        const std::scoped_lock lock{state->mutex};
        if (!state->items.empty()) {
          std::optional<T> item{std::move(state->items.front())};
          state->items.pop_front();
          co_return item;
        }
        if (state->closed) co_return std::nullopt;
        state->notified = false;
        state->ready.reset();
      }
      const bool ready = co_await state->ready.wait_until(deadline);
      if (!ready) co_return std::nullopt;
    }
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(Loop& on, std::size_t max) : loop{on}, items_max{max}, ready{on} {}
    void notify() {
      loop.post([self = this->shared_from_this()] { self->ready.set(); });
    }
    Loop& loop;
    const std::size_t items_max;
    std::mutex mutex;  // guards the three below
    std::deque<T> items;
    bool closed = false;
    bool notified = true;  // the reader has been, or need not be, woken
    Event ready;
  };
  std::shared_ptr<State> state_;
};

}  // namespace llmd
