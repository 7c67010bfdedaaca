#include "runtime/stall_detector.h"

#include <gtest/gtest.h>

#include <mutex>
#include <thread>
#include <vector>

#include "runtime/loop.h"
#include "runtime/testing/run.h"

namespace llmd {
namespace {

double stalls(MetricsRegistry& metrics, const std::string& loop) {
  return metrics.counter("llmd_loop_stalls_total", "", {{"loop", loop}}).value();
}

TEST(StallDetector, CountsAHandlerThatRunsTooLongAndShowsWhereItIs) {
  MetricsRegistry metrics;
  std::atomic<bool> reported{false};
  Stall stall;
  StallDetector detector{metrics, {.threshold = milliseconds{20}, .on_stall = [&](const Stall& seen) {
                                     stall = seen;
                                     reported.store(true, std::memory_order_release);
                                   }}};
  Loop loop{"stalled"};
  auto hog = [&loop](std::atomic<bool>* seen) -> Task<void> {
    co_await sleep_for(milliseconds{30});  // the detector has met the loop
    const TimePoint limit = SteadyClock::now() + seconds{10};
    while (!seen->load(std::memory_order_acquire) && SteadyClock::now() < limit) {
    }
    loop.stop();
  };
  testkit::run_task(loop, hog(&reported));
  ASSERT_TRUE(reported);
  EXPECT_EQ(stall.loop, "stalled");
  EXPECT_GE(stall.lasted, milliseconds{20});
  EXPECT_NE(stall.backtrace.find("runtime_test"), std::string::npos) << stall.backtrace;
  EXPECT_EQ(stalls(metrics, "stalled"), 1);
}

TEST(StallDetector, CountsOneStallOnceHoweverLongItLasts) {
  MetricsRegistry metrics;
  StallDetector detector{metrics, {.threshold = milliseconds{10}}};
  Loop loop{"long"};
  auto hog = [](MetricsRegistry* registry) -> Task<void> {
    co_await sleep_for(milliseconds{15});
    const TimePoint limit = SteadyClock::now() + seconds{10};
    while (stalls(*registry, "long") == 0 && SteadyClock::now() < limit) {
    }
    const TimePoint end = SteadyClock::now() + milliseconds{60};
    while (SteadyClock::now() < end) {
    }
  };
  testkit::run_task(loop, hog(&metrics));
  EXPECT_EQ(stalls(metrics, "long"), 1);
}

TEST(StallDetector, ShowsTheSeriesOfALoopBeforeItsFirstStall) {
  MetricsRegistry metrics;
  StallDetector detector{metrics, {.threshold = seconds{1}}};
  Loop loop{"calm"};
  std::thread runner{[&] { loop.run(); }};
  const TimePoint limit = SteadyClock::now() + seconds{10};
  while (metrics.collect().empty() && SteadyClock::now() < limit) std::this_thread::yield();
  loop.stop();
  runner.join();
  const auto families = metrics.collect();
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].series[0].labels, (LabelSet{{"loop", "calm"}}));
  EXPECT_EQ(stalls(metrics, "calm"), 0);
}

}  // namespace
}  // namespace llmd
