#include "profiling/cpu_profile.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "profiling/sampler.h"
#include "runtime/testing/run.h"

namespace llmd {
namespace {

using testkit::run_task;
using testkit::run_until;

// ThreadSanitizer hands signals to the thread when that suits it, so their stacks are not of where the thread was.
#if defined(__SANITIZE_THREAD__)
constexpr bool kSignalsAreLate = true;
#elif defined(__has_feature)
constexpr bool kSignalsAreLate = __has_feature(thread_sanitizer);
#else
constexpr bool kSignalsAreLate = false;
#endif

std::atomic<std::uintptr_t> g_within_burn{0};  // an address inside burn(), behind its call of leaf()

__attribute__((noinline)) double leaf(int rounds) {
  g_within_burn.store(reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)), std::memory_order_relaxed);
  double sum = 0;
  for (int i = 1; i < rounds; ++i) sum = sum * 0.999 + i;
  return sum;
}

__attribute__((noinline)) double burn(const std::atomic<bool>& stop) {
  double sum = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    sum += leaf(20'000);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // no tail call: burn() stays on the stack
  }
  return sum;
}

/// Threads that compute while it lives.
class Busy {
 public:
  explicit Busy(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        const volatile double sum = burn(stop_);
        static_cast<void>(sum);
      });
    }
  }
  ~Busy() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

struct ReadProfile {
  std::uintptr_t period_us = 0;
  std::vector<std::vector<std::uintptr_t>> stacks{};  // one a sample
  std::string mappings{};
};

/// Reads as pprof does; a test fails where the form is not its.
ReadProfile read_profile(const std::string& bytes) {
  ReadProfile profile;
  std::size_t at = 0;
  const auto word = [&] {
    std::uintptr_t value = 0;
    if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
  };
  EXPECT_EQ(word(), 0U);
  EXPECT_EQ(word(), 3U);
  EXPECT_EQ(word(), 0U);
  profile.period_us = word();
  EXPECT_EQ(word(), 0U);
  while (at < bytes.size()) {
    const std::uintptr_t count = word();
    const std::uintptr_t depth = word();
    if (count == 0) {
      EXPECT_EQ(depth, 1U);
      EXPECT_EQ(word(), 0U);
      break;
    }
    EXPECT_EQ(count, 1U);
    EXPECT_TRUE(depth >= 1 && depth <= 62) << depth;
    if (depth > 62) break;
    std::vector<std::uintptr_t>& stack = profile.stacks.emplace_back();
    for (std::uintptr_t i = 0; i < depth; ++i) stack.push_back(word());
  }
  profile.mappings = bytes.substr(std::min(at, bytes.size()));
  return profile;
}

Result<std::string> take(Loop& loop, seconds duration) {
  Result<std::string> taken;
  run_task(loop, [](Loop& on, seconds wanted, Result<std::string>& out) -> Task<void> {
    out = co_await cpu_profile(on, wanted);
  }(loop, duration, taken));
  return taken;
}

TEST(CpuProfile, ShowsWhereTheProcessComputes) {
  Loop loop{"test"};
  const Busy busy{2};
  const auto taken = take(loop, seconds{1});
  ASSERT_TRUE(taken.has_value()) << taken.error().to_string();
  const ReadProfile profile = read_profile(*taken);
  EXPECT_EQ(profile.period_us, 10'000U);
  const std::string binary = std::filesystem::read_symlink("/proc/self/exe").string();
  EXPECT_NE(profile.mappings.find(binary), std::string::npos) << profile.mappings;
  ASSERT_FALSE(profile.stacks.empty());
  std::size_t in_leaf = 0;
  for (const auto& stack : profile.stacks)
    in_leaf += std::ranges::find(stack, g_within_burn.load()) != stack.end() ? 1U : 0U;
  EXPECT_TRUE(kSignalsAreLate || in_leaf * 2 > profile.stacks.size())
      << in_leaf << " of " << profile.stacks.size() << " samples";
}

TEST(CpuProfile, IsTakenOneAtATimeAndAgainAfterwards) {
  Loop loop{"test"};
  for (int round = 0; round < 2; ++round) {
    run_task(loop, [](Loop& on) -> Task<void> {
      Result<std::string> first;
      bool done = false;
      on.spawn([](Loop& of, Result<std::string>& out, bool& ended) -> Task<void> {
        out = co_await cpu_profile(of, seconds{1});
        ended = true;
      }(on, first, done));
      co_await sleep_for(milliseconds{50});
      const auto second = co_await cpu_profile(on, seconds{1});
      EXPECT_EQ(second.has_value() ? ErrorCode::kInternal : second.error().code, ErrorCode::kOverloaded);
      while (!done) co_await sleep_for(milliseconds{10});
      EXPECT_TRUE(first.has_value());
    }(loop));
  }
}

TEST(CpuProfile, RefusesTimesOutOfRange) {
  Loop loop{"test"};
  for (const seconds wanted : {seconds{0}, seconds{-1}, seconds{61}}) {
    const auto taken = take(loop, wanted);
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(taken.error().what, "a CPU profile of " + std::to_string(wanted.count()) + " s; expected 1 to 60");
  }
}

TEST(CpuProfile, EndsWithALoopThatIsDiscarded) {
  {
    Loop loop{"test"};
    loop.spawn([](Loop& on) -> Task<void> { static_cast<void>(co_await cpu_profile(on, seconds{60})); }(loop));
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
    EXPECT_FALSE(Sampler::start().has_value()) << "it is being taken";
    loop.discard();
  }
  EXPECT_TRUE(Sampler::start().has_value());
}

// A loop that waits in epoll, timers and a thread in poll, while two threads compute and signals come.
TEST(CpuProfile, LeavesWaitsAlone) {
  Loop loop{"test"};
  const Busy busy{2};
  const int never = ::eventfd(0, EFD_CLOEXEC);
  std::atomic<int> early{0};
  std::thread waiter{[&] {
    for (int i = 0; i < 5; ++i) {
      pollfd ready{.fd = never, .events = POLLIN, .revents = 0};
      const int polled = ::poll(&ready, 1, 200);
      if (polled != 0 && errno != EINTR) ++early;
    }
  }};
  int ticks = 0;
  run_task(loop, [](Loop& on, int& count) -> Task<void> {
    bool done = false;
    on.spawn([](Loop& of, bool& ended) -> Task<void> {
      EXPECT_TRUE((co_await cpu_profile(of, seconds{1})).has_value());
      ended = true;
    }(on, done));
    while (!done) {
      const TimePoint before = SteadyClock::now();
      co_await sleep_for(milliseconds{5});
      EXPECT_GE(SteadyClock::now() - before, milliseconds{5}) << "a wait ended before its time";
      ++count;
    }
  }(loop, ticks));
  waiter.join();
  ::close(never);
  EXPECT_GT(ticks, 0);
  EXPECT_EQ(early.load(), 0);
}

TEST(Sampler, TakesNoSampleBehindStop) {
  Loop loop{"test"};
  auto started = Sampler::start();
  ASSERT_TRUE(started.has_value()) << started.error().to_string();
  Sampler& sampler = **started;
  {
    const Busy busy{1};
    run_until(loop, [&] { return !sampler.words().empty(); });
  }
  sampler.stop();
  run_until(loop, [] { return Sampler::is_quiet(); });
  const std::size_t size = sampler.words().size();
  const std::clock_t before = std::clock();
  while (std::clock() - before < CLOCKS_PER_SEC / 10) leaf(20'000);  // ten periods
  EXPECT_EQ(sampler.words().size(), size);
  EXPECT_EQ(sampler.dropped(), 0U);
}

}  // namespace
}  // namespace llmd
