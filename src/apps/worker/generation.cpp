#include "apps/worker/generation.h"

#include <utility>

namespace llmd::worker {

Generation::Generation(Loop& loop, Engine& engine, std::shared_ptr<EventRouter> router)
    : engine_{engine}, router_{std::move(router)}, ready_{loop} {}

Generation::~Generation() { cancel_running(); }

Result<void> Generation::submit(SequenceRequest request) {
  LLMD_TRY(const SequenceId sequence, engine_.submit(std::move(request), router_));
  router_->attach(sequence, *this);
  running_.emplace(sequence, Running{.index = submitted_++});
  ++not_begun_;
  return {};
}

Task<Result<std::vector<Generation::Item>>> Generation::next(TimePoint deadline) {
  if (pending_.empty() && !running_.empty() && !cancelled_) {
    ready_.reset();
    const bool in_time = co_await ready_.wait_until(deadline);
    if (!in_time && !cancelled_) {
      co_return fail(ErrorCode::kDeadlineExceeded, "the request took longer than it may take",
                     "ask for fewer tokens, or raise the worker's --request-timeout");
    }
  }
  if (cancelled_) co_return fail(ErrorCode::kCancelled, "the client closed the connection");
  co_return std::exchange(pending_, {});
}

void Generation::cancel() {
  cancelled_ = true;
  cancel_running();
  ready_.set();
}

void Generation::on_event(SequenceEvent&& event) {
  const auto found = running_.find(event.sequence);
  if (found == running_.end()) return;
  const std::size_t index = found->second.index;
  if (!std::exchange(found->second.begun, true) && --not_begun_ == 0) held_.clear();
  if (event.finish) {
    router_->detach(event.sequence);
    running_.erase(found);
  }
  pending_.push_back(Item{.index = index, .event = std::move(event)});
  ready_.set();
}

void Generation::cancel_running() {
  for (const auto& [sequence, running] : running_) {
    router_->detach(sequence);
    engine_.cancel(sequence);
  }
  running_.clear();
}

}  // namespace llmd::worker
