#include "runtime/loop.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <vector>

#include "telemetry/log.h"

namespace llmd {
namespace {

struct RunningLoops {
  std::mutex mutex;
  std::vector<Loop*> loops;
};

RunningLoops& running_loops() {
  static RunningLoops* const instance = new RunningLoops;  // never destroyed: loops may still run during exit
  return *instance;
}

[[noreturn]] void die_of(const std::exception_ptr& exception, const std::string& loop) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("an exception left a handler of loop {}, which must not happen: {}", loop, e.what());
  } catch (...) {
    log::error("an exception of unknown type left a handler of loop {}, which must not happen", loop);
  }
  std::abort();
}

}  // namespace

Loop::Loop(std::string name) : name_{std::move(name)}, guard_{context_.get_executor()} {}

Loop::~Loop() = default;

void Loop::run() {
  RunningLoops& registry = running_loops();
  thread_id_ = static_cast<pid_t>(::syscall(SYS_gettid));
  {
    const std::scoped_lock lock{registry.mutex};
    registry.loops.push_back(this);
  }
  context_.restart();
  try {
    context_.run();
  } catch (...) {
    die_of(std::current_exception(), name_);
  }
  const std::scoped_lock lock{registry.mutex};
  std::erase(registry.loops, this);
  thread_id_ = 0;
}

void Loop::stop() {
  // Posted, so that a stop() that comes before run() is not undone by its restart().
  asio::post(context_, [this] { context_.stop(); });
}

void Loop::discard() { context_.discard(); }

void Loop::post(std::move_only_function<void()> work) { asio::post(context_, std::move(work)); }

void Loop::spawn(Task<void> task) {
  asio::co_spawn(context_.get_executor(), std::move(task), [this](const std::exception_ptr& exception) {
    if (exception) die_of(exception, name_);
  });
}

void Loop::request_heartbeat() {
  asio::post(context_, [this] { heartbeat_.fetch_add(1, std::memory_order_relaxed); });
}

void visit_running_loops(const std::function<void(Loop&)>& visit) {
  RunningLoops& registry = running_loops();
  const std::scoped_lock lock{registry.mutex};
  for (Loop* const loop : registry.loops) visit(*loop);
}

Task<void> sleep_for(Duration duration) {
  const auto executor = co_await asio::this_coro::executor;
  Timer timer{executor, duration};
  co_await timer.async_wait(asio::as_tuple(use_task));
}

}  // namespace llmd
