#include "runtime/loop.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "runtime/channel.h"
#include "runtime/deadline.h"
#include "runtime/event.h"
#include "runtime/real_clock.h"
#include "runtime/signals.h"
#include "runtime/testing/run.h"

namespace llmd {
namespace {

using testkit::run_task;
using testkit::run_until;

TEST(Loop, RunsPostedWorkInOrderAndReturnsAfterStop) {
  Loop loop{"test"};
  std::string trace;
  loop.post([&] { trace += "a"; });
  loop.post([&] {
    trace += "b";
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(trace, "ab");
}

TEST(Loop, HonoursAStopThatComesBeforeRun) {
  Loop loop{"test"};
  loop.stop();
  loop.run();
  SUCCEED() << "run() returned";
}

TEST(Loop, DiscardsSuspendedCoroutinesWhileWhatTheyReferToStillLives) {
  Loop loop{"test"};
  std::vector<std::string> trace;
  {
    struct Service {
      explicit Service(Loop& on) : timer{on.executor(), seconds{60}} {}
      std::string name = "service";
      Timer timer;  // outlives the discard
    };
    struct Handler {
      ~Handler() { trace.push_back("handler of " + service.name); }
      Service& service;
      std::vector<std::string>& trace;
    };
    Service service{loop};
    service.timer.async_wait([&](const boost::system::error_code&) { trace.emplace_back("fired"); });
    Event never{loop};
    loop.spawn([](Service& of, Event& event, std::vector<std::string>& out) -> Task<void> {
      const Handler handler{of, out};
      co_await event.wait_until(SteadyClock::now() + seconds{60});
    }(service, never, trace));
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
    EXPECT_TRUE(trace.empty());
    loop.discard();
    EXPECT_EQ(trace, std::vector<std::string>{"handler of service"});
    loop.post([&] { trace.emplace_back("ran"); });  // what a destructor may still do
    service.timer.expires_after(seconds{1});
  }
  EXPECT_EQ(trace, std::vector<std::string>{"handler of service"});
}

TEST(Loop, IsVisibleWithItsThreadOnlyInsideRun) {
  Loop loop{"visible"};
  const auto count = [&loop] {
    int found = 0;
    visit_running_loops([&](const Loop& running) { found += &running == &loop ? 1 : 0; });
    return found;
  };
  EXPECT_EQ(count(), 0);
  int inside = 0;
  pid_t thread_id = 0;
  loop.post([&] {
    inside = count();
    thread_id = loop.thread_id();
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(inside, 1);
  EXPECT_NE(thread_id, 0);
  EXPECT_EQ(count(), 0);
  EXPECT_EQ(loop.thread_id(), 0);
}

TEST(Loop, DestroysCoroutinesThatStillWait) {
  bool destroyed = false;
  struct Flag {
    bool* flag;
    ~Flag() { *flag = true; }
  };
  {
    Loop loop{"test"};
    auto forever = [](bool* flag) -> Task<void> {
      const Flag on_end{flag};
      co_await sleep_for(std::chrono::hours{1});
    };
    loop.spawn(forever(&destroyed));
    loop.stop();
    loop.run();
    EXPECT_FALSE(destroyed);
  }
  EXPECT_TRUE(destroyed);
}

TEST(Event, WakesAllThatWaitAndLetsLaterOnesPass) {
  Loop loop{"test"};
  Event event{loop};
  int woken = 0;
  auto waiter = [](Event* on, int* count) -> Task<void> {
    if (co_await on->wait_until(TimePoint::max())) ++*count;
  };
  loop.spawn(waiter(&event, &woken));
  loop.spawn(waiter(&event, &woken));
  loop.post([&] { event.set(); });
  run_until(loop, [&] { return woken == 2; });
  run_task(loop, waiter(&event, &woken));
  EXPECT_EQ(woken, 3);
}

TEST(Event, SaysFalseWhenTheDeadlinePassesFirst) {
  Loop loop{"test"};
  Event event{loop};
  bool result = true;
  auto waiter = [](Event* on, bool* out) -> Task<void> {
    *out = co_await on->wait_until(SteadyClock::now() + milliseconds{1});
  };
  run_task(loop, waiter(&event, &result));
  EXPECT_FALSE(result);
}

TEST(Deadline, FiresOnceAtTheLatestSettingAndNotWhenCleared) {
  Loop loop{"test"};
  int fired = 0;
  Deadline moved{loop.executor(), [&] { ++fired; }};
  Deadline cleared{loop.executor(), [&] { fired += 100; }};
  const TimePoint start = SteadyClock::now();
  moved.set(start + milliseconds{2});
  moved.set(start + milliseconds{30});
  moved.set(start + milliseconds{15});
  cleared.set(start + milliseconds{1});
  cleared.clear();
  run_until(loop, [&] { return fired != 0; });
  EXPECT_GE(SteadyClock::now() - start, milliseconds{15});
  EXPECT_EQ(fired, 1);
}

TEST(Deadline, MayBeDestroyedByItsOwnCallback) {
  Loop loop{"test"};
  std::unique_ptr<Deadline> deadline;
  deadline = std::make_unique<Deadline>(loop.executor(), [&] { loop.post([&] { deadline.reset(); }); });
  deadline->set(SteadyClock::now());
  run_until(loop, [&] { return deadline == nullptr; });
}

TEST(Channel, CarriesItemsOfAnotherThreadInOrderUntilItIsClosed) {
  Loop loop{"test"};
  Channel<std::unique_ptr<int>> channel{loop, 16};
  std::thread producer{[&] {
    for (int i = 0; i < 1'000;) {
      auto item = std::make_unique<int>(i);
      if (channel.push(std::move(item))) ++i;
    }
    channel.close();
  }};
  int next = 0;
  bool ordered = true;
  auto consumer = [](Channel<std::unique_ptr<int>>* from, int* count, bool* in_order) -> Task<void> {
    while (true) {
      const auto item = co_await from->pop_until(SteadyClock::now() + seconds{10});
      if (!item) co_return;
      *in_order = *in_order && **item == *count;
      ++*count;
    }
  };
  run_task(loop, consumer(&channel, &next, &ordered));
  producer.join();
  EXPECT_TRUE(ordered);
  EXPECT_EQ(next, 1'000);
}

TEST(Channel, RefusesWhatIsBeyondItsBoundAndLeavesTheItemAlone) {
  Loop loop{"test"};
  Channel<std::string> channel{loop, 1};
  EXPECT_TRUE(channel.push("first"));
  std::string second = "second";
  EXPECT_FALSE(channel.push(std::move(second)));
  EXPECT_EQ(second, "second");
}

TEST(SignalWatch, CallsBackOnTheLoop) {
  Loop loop{"test"};
  std::vector<int> seen;
  SignalWatch signals{loop, {SIGINT, SIGTERM}, [&](int signal) { seen.push_back(signal); }};
  ::kill(::getpid(), SIGTERM);
  run_until(loop, [&] { return seen.size() == 1; });
  ::kill(::getpid(), SIGINT);
  run_until(loop, [&] { return seen.size() == 2; });
  EXPECT_EQ(seen, (std::vector<int>{SIGTERM, SIGINT}));
}

TEST(RealClock, NeverGoesBack) {
  const RealClock clock;
  const TimePoint first = clock.now();
  EXPECT_LE(first, clock.now());
}

}  // namespace
}  // namespace llmd
