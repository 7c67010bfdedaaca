#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "runtime/loop.h"

namespace llmd::testkit {

/// Runs `loop` on this thread until `task` has ended, at most `limit` (then the test fails).
inline void run_task(Loop& loop, Task<void> task, Duration limit = seconds{20}) {
  bool done = false;
  Timer timer{loop.executor(), limit};
  timer.async_wait([&](const boost::system::error_code& error) {
    if (!error) loop.context().stop();
  });
  asio::co_spawn(loop.executor(), std::move(task), [&](const std::exception_ptr& exception) {
    EXPECT_EQ(exception, nullptr) << "an exception left the test's coroutine";
    done = true;
    loop.context().stop();
  });
  loop.run();
  EXPECT_TRUE(done) << "the test's coroutine did not end in time";
}

/// Runs `loop` on this thread until `condition` holds, looked at every millisecond, at most `limit` (then the test
/// fails).
inline void run_until(Loop& loop, const std::function<bool()>& condition, Duration limit = seconds{20}) {
  const TimePoint deadline = SteadyClock::now() + limit;
  auto poll = [](const std::function<bool()>* holds, TimePoint until) -> Task<void> {
    while (!(*holds)() && SteadyClock::now() < until) co_await sleep_for(milliseconds{1});
  };
  run_task(loop, poll(&condition, deadline), limit + seconds{1});
  EXPECT_TRUE(condition()) << "the awaited condition did not come in time";
}

}  // namespace llmd::testkit
