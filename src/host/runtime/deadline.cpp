#include "runtime/deadline.h"

namespace llmd {

struct Deadline::State {
  State(asio::io_context::executor_type executor, std::move_only_function<void()> callback)
      : timer{executor}, on_expired{std::move(callback)} {}

  Timer timer;
  std::move_only_function<void()> on_expired;
  TimePoint due = TimePoint::max();        // max: not set
  TimePoint armed_for = TimePoint::max();  // max: no timer pending
};

Deadline::Deadline(asio::io_context::executor_type executor, std::move_only_function<void()> on_expired)
    : state_{std::make_shared<State>(executor, std::move(on_expired))} {}

Deadline::~Deadline() { state_->on_expired = nullptr; }

void Deadline::set(TimePoint due) {
  state_->due = due;
  if (due < state_->armed_for) arm(state_);
}

void Deadline::clear() noexcept { state_->due = TimePoint::max(); }

void Deadline::arm(const std::shared_ptr<State>& state) {
  state->armed_for = state->due;
  state->timer.expires_at(state->due);  // cancels an earlier wait, whose handler then sees operation_aborted
  state->timer.async_wait([weak = std::weak_ptr{state}](const boost::system::error_code& error) {
    if (error) return;
    if (const auto alive = weak.lock()) on_timer(alive);
  });
}

void Deadline::on_timer(const std::shared_ptr<State>& state) {
  state->armed_for = TimePoint::max();
  if (state->due == TimePoint::max()) return;
  if (SteadyClock::now() < state->due) {
    arm(state);
    return;
  }
  state->due = TimePoint::max();
  if (state->on_expired) state->on_expired();
}

}  // namespace llmd
