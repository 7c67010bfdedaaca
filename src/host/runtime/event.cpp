#include "runtime/event.h"

#include <boost/asio/as_tuple.hpp>

namespace llmd {

void Event::set() {
  set_ = true;
  for (Timer* const waiter : waiters_) waiter->cancel();
  waiters_.clear();
}

Task<bool> Event::wait_until(TimePoint deadline) {
  if (set_) co_return true;
  Timer timer{executor_, deadline};
  waiters_.push_back(&timer);
  const auto [error] = co_await timer.async_wait(asio::as_tuple(use_task));
  std::erase(waiters_, &timer);
  co_return error == asio::error::operation_aborted || set_;
}

}  // namespace llmd
