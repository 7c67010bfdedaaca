#include "runtime/stall_detector.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "runtime/loop.h"
#include "telemetry/log.h"

namespace llmd {
namespace {

constexpr int kFramesMax = 64;
constexpr Duration kAnswerWait = milliseconds{250};

/// Where the signal handler of the stalled thread leaves its frames. `frames` is written between the two values of
/// `state`.
struct Capture {
  enum State : int { kIdle, kAsked, kWriting, kDone };
  std::atomic<int> state{kIdle};
  std::array<void*, kFramesMax> frames{};
  int count = 0;
};
Capture g_capture;

int backtrace_signal() { return SIGRTMIN + 6; }

void on_backtrace_signal(int) {
  const int saved_errno = errno;
  int asked = Capture::kAsked;
  if (g_capture.state.compare_exchange_strong(asked, Capture::kWriting)) {
    g_capture.count = ::backtrace(g_capture.frames.data(), kFramesMax);
    g_capture.state.store(Capture::kDone, std::memory_order_release);
  }
  errno = saved_errno;
}

void install_handler() {
  std::array<void*, 1> frame{};
  ::backtrace(frame.data(), 1);  // loads the unwinder now: the first call allocates, which a signal handler must not
  struct sigaction action{};
  action.sa_handler = on_backtrace_signal;
  action.sa_flags = SA_RESTART;
  ::sigaction(backtrace_signal(), &action, nullptr);
}

/// Pre: the thread is inside Loop::run() and stays there (the caller holds the registry of running loops).
std::string backtrace_of(pid_t thread_id) {
  g_capture.state.store(Capture::kAsked);
  if (::syscall(SYS_tgkill, ::getpid(), thread_id, backtrace_signal()) != 0) return {};
  const TimePoint deadline = SteadyClock::now() + kAnswerWait;
  while (g_capture.state.load(std::memory_order_acquire) != Capture::kDone) {
    if (SteadyClock::now() >= deadline) {
      int asked = Capture::kAsked;  // a late answer must not write under a reader
      if (g_capture.state.compare_exchange_strong(asked, Capture::kIdle)) return {};
    }
    std::this_thread::sleep_for(microseconds{200});
  }
  char** const names = ::backtrace_symbols(g_capture.frames.data(), g_capture.count);
  std::string text;
  for (int i = 2; names != nullptr && i < g_capture.count; ++i) {  // without the handler and its trampoline
    if (!text.empty()) text += '\n';
    text += names[i];
  }
  std::free(names);
  return text;
}

}  // namespace

struct StallDetector::Impl {
  struct Watch {
    std::uint64_t awaited_heartbeat = 0;
    TimePoint asked_at;
    pid_t thread_id = 0;
    bool reported = false;
    std::uint64_t round = 0;
  };

  Impl(MetricsRegistry& registry, Options given) : metrics{registry}, options{std::move(given)} {
    install_handler();
    thread = std::thread{[this] { watch(); }};
  }
  ~Impl() {
    {
      const std::scoped_lock lock{mutex};
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void watch() {
    std::unique_lock lock{mutex};
    while (!wake.wait_for(lock, options.threshold / 4, [this] { return stopping; })) {
      ++round;
      visit_running_loops([this](Loop& loop) { check(loop); });
      std::erase_if(watches, [this](const auto& entry) { return entry.second.round != round; });
    }
  }

  void check(Loop& loop) {
    const TimePoint now = SteadyClock::now();
    const auto [entry, is_new] = watches.try_emplace(&loop);
    Watch& watched = entry->second;
    watched.round = round;
    if (is_new || watched.thread_id != loop.thread_id()) {
      stalls_of(loop);  // the series stands on the page before the first stall
      watched.thread_id = loop.thread_id();
      ask(loop, watched, now);
      return;
    }
    const Duration silent = now - watched.asked_at;
    if (loop.heartbeat() >= watched.awaited_heartbeat) {
      if (watched.reported)
        log::warn("loop {} runs again after at least {:.0f} ms", loop.name(), to_milliseconds(silent));
      ask(loop, watched, now);
    } else if (silent >= options.threshold && !watched.reported) {
      watched.reported = true;
      report(loop, silent);
    }
  }

  static void ask(Loop& loop, Watch& watched, TimePoint now) {
    watched.awaited_heartbeat = loop.heartbeat() + 1;
    watched.asked_at = now;
    watched.reported = false;
    loop.request_heartbeat();
  }

  Counter& stalls_of(const Loop& loop) {
    return metrics.counter("llmd_loop_stalls_total", "Times that an event loop did not come round in time.",
                           {{"loop", loop.name()}});
  }

  void report(Loop& loop, Duration silent) {
    const Stall stall{.loop = loop.name(), .lasted = silent, .backtrace = backtrace_of(loop.thread_id())};
    stalls_of(loop).add();
    log::warn("loop {} has not come round for {:.0f} ms; its thread is at\n{}", stall.loop, to_milliseconds(silent),
              stall.backtrace.empty() ? "(no answer)" : stall.backtrace);
    if (options.on_stall) options.on_stall(stall);
  }

  MetricsRegistry& metrics;
  Options options;
  std::unordered_map<const Loop*, Watch> watches;  // as many as running loops
  std::uint64_t round = 0;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::thread thread;
};

StallDetector::StallDetector(MetricsRegistry& metrics, Options options)
    : impl_{std::make_unique<Impl>(metrics, std::move(options))} {}

StallDetector::~StallDetector() = default;

}  // namespace llmd
