#pragma once

#include <sys/types.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"

namespace llmd {

namespace asio = boost::asio;

/// A coroutine on a loop. It returns a Result for what can go wrong and throws nothing.
template <class T = void>
using Task = asio::awaitable<T, asio::io_context::executor_type>;
inline constexpr asio::use_awaitable_t<asio::io_context::executor_type> use_task{};

using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, asio::io_context::executor_type>;

/// One event loop: an io_context that one thread runs. Sockets, timers and coroutines belong to the loop that made them
/// and are touched only there; post() is the only way in from outside. It outlives all that was made on it but for
/// suspended coroutines and pending operations, which its destructor destroys.
class Loop {
 public:
  explicit Loop(std::string name);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Runs until stop() on the calling thread, which the stall detector then watches. May be called again afterwards.
  void run();
  /// Thread-safe. run() returns after the handlers that are ready.
  void stop();
  /// Not inside run(), which is not called again. Destroys suspended coroutines and pending operations now: before what
  /// they refer to, which is gone by the time of the destructor. Sockets and timers outside of them stay valid.
  void discard();
  /// Thread-safe. `work` must not throw: an exception that leaves it is logged and ends the process.
  void post(std::move_only_function<void()> work);
  /// Thread-safe. Starts a coroutine on the loop. An exception that leaves it is a bug: it is logged and ends the
  /// process.
  void spawn(Task<void> task);

  [[nodiscard]] asio::io_context& context() noexcept { return context_; }
  [[nodiscard]] asio::io_context::executor_type executor() noexcept { return context_.get_executor(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Thread-safe. Asks the loop to raise heartbeat() when it comes round.
  void request_heartbeat();
  /// Thread-safe. How many heartbeats that were asked for have come: what the stall detector looks at.
  [[nodiscard]] std::uint64_t heartbeat() const noexcept { return heartbeat_.load(std::memory_order_relaxed); }
  /// Thread-safe. The kernel's id of the thread inside run(), 0 if there is none.
  [[nodiscard]] pid_t thread_id() const noexcept { return thread_id_.load(std::memory_order_relaxed); }

 private:
  struct Context : asio::io_context {
    using asio::io_context::io_context;
    void discard() { shutdown(); }
  };

  std::string name_;
  Context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::atomic<std::uint64_t> heartbeat_{0};
  std::atomic<pid_t> thread_id_{0};
};

/// Calls `visit` for each loop of the process that is inside run(); none of them leaves run() meanwhile.
void visit_running_loops(const std::function<void(Loop&)>& visit);

/// Suspends the calling coroutine. Returns early, without error, if the loop stops.
[[nodiscard]] Task<void> sleep_for(Duration duration);

}  // namespace llmd
