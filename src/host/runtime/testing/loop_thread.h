#pragma once

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "runtime/loop.h"

namespace llmd::testkit {

/// A loop that runs on a thread of its own while it lives, so that a test can drive the other end of a socket.
class LoopThread {
 public:
  explicit LoopThread(std::string name = "test") : loop_{std::move(name)}, thread_{[this] { loop_.run(); }} {}
  ~LoopThread() { stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] Loop& loop() noexcept { return loop_; }
  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Runs `work` on the loop and waits for its value, at most 20 s (then std::future_error).
  template <class Work>
  auto call(Work work) {
    std::packaged_task<decltype(work())()> task{std::move(work)};
    auto done = task.get_future();
    loop_.post(std::move(task));
    if (done.wait_for(std::chrono::seconds{20}) != std::future_status::ready) {
      throw std::future_error{std::future_errc::broken_promise};
    }
    return done.get();
  }

 private:
  Loop loop_;
  std::thread thread_;
};

}  // namespace llmd::testkit
