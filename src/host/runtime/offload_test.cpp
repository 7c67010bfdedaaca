#include "runtime/offload.h"

#include <gtest/gtest.h>

#include <latch>
#include <string>
#include <thread>

#include "runtime/testing/run.h"

namespace llmd {
namespace {

TimePoint soon() { return SteadyClock::now() + seconds{5}; }

TEST(Offload, RunsWorkOnAnotherThreadAndComesBackToTheLoop) {
  Loop loop{"test"};
  Offload offload{1, 4};
  const auto here = std::this_thread::get_id();
  testkit::run_task(loop, [](Loop& on, Offload& pool, std::thread::id loop_thread) -> Task<void> {
    auto work = [text = std::string{"a"}, loop_thread]() -> Result<std::string> {
      EXPECT_NE(std::this_thread::get_id(), loop_thread);
      return text + "b";
    };
    const Result<std::string> result = co_await pool.run(on, soon(), std::move(work));
    EXPECT_EQ(std::this_thread::get_id(), loop_thread);
    EXPECT_EQ(result.value_or(""), "ab");
  }(loop, offload, here));
  EXPECT_EQ(offload.jobs(), 0U);
}

TEST(Offload, RefusesAJobBeyondItsBoundAndGivesUpAtTheDeadline) {
  Loop loop{"test"};
  auto gate = std::make_shared<std::latch>(1);
  Offload offload{1, 1};
  testkit::run_task(loop, [](Loop& on, Offload& pool, std::shared_ptr<std::latch> held) -> Task<void> {
    auto blocked = [held]() -> Result<int> {
      held->wait();
      return 1;
    };
    const Result<int> late = co_await pool.run(on, SteadyClock::now() + milliseconds{5}, blocked);
    EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
    const Result<int> refused = co_await pool.run(on, soon(), blocked);
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
    held->count_down();
  }(loop, offload, gate));
}

}  // namespace
}  // namespace llmd
