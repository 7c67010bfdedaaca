#include "profiling/sampler.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>

#include "profiling/cpu_profile.h"

namespace llmd {

/// Room for samples. What the handler needs is here and in the atomics below: it allocates and locks nothing.
struct Sampler::Recording {
  static constexpr std::size_t kWords = kCpuProfileBytesMax / sizeof(std::uintptr_t);
  static constexpr std::size_t kFramesMax = 62;  // deeper stacks lose their outermost frames

  std::uintptr_t* words = nullptr;  // kWords of them, mapped: pages that are never written cost nothing
  std::atomic<std::size_t> used{0};
  std::atomic<std::uint64_t> dropped{0};

  void add(std::span<void* const> frames) noexcept {
    const std::size_t size = frames.size() + 2;
    std::size_t place = used.load(std::memory_order_relaxed);
    do {
      if (place + size > kWords) {
        dropped.fetch_add(1, std::memory_order_relaxed);
        return;
      }
    } while (!used.compare_exchange_weak(place, place + size, std::memory_order_relaxed));
    words[place] = 1;
    words[place + 1] = frames.size();
    for (std::size_t i = 0; i < frames.size(); ++i) words[place + 2 + i] = reinterpret_cast<std::uintptr_t>(frames[i]);
  }

  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() {
    if (words != nullptr) ::munmap(words, kCpuProfileBytesMax);
  }
};

namespace {

std::atomic<bool> g_taken{false};
std::atomic<void*> g_recording{nullptr};  // a Sampler::Recording; null: nothing is to be written
std::atomic<std::uint32_t> g_writers{0};  // threads in the handler

/// Where the thread was interrupted.
void* interrupted_at(const void* context) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return reinterpret_cast<void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(machine.pc);
#else
#error "say where this processor's context keeps the program counter"
#endif
}

constexpr std::size_t kHandlerFrames = 4;  // at most: the handler's own and the kernel's trampoline

template <class Recording>
void record(Recording& recording, const void* context) noexcept {
  std::array<void*, Recording::kFramesMax + kHandlerFrames> frames{};
  const auto count = static_cast<std::size_t>(std::max(::backtrace(frames.data(), static_cast<int>(frames.size())), 0));
  void* at = interrupted_at(context);
  const auto end = frames.begin() + static_cast<std::ptrdiff_t>(count);
  const auto innermost = std::find(frames.begin(), end, at);
  // A stack that cannot be walked still says where it was.
  if (innermost == end) return recording.add(std::span{&at, 1});
  const std::size_t depth = std::min(static_cast<std::size_t>(end - innermost), Recording::kFramesMax);
  recording.add(std::span{innermost, depth});
}

template <class Recording>
void on_tick(int /*signal*/, siginfo_t* /*info*/, void* context) {
  const int saved_errno = errno;
  g_writers.fetch_add(1);  // before the look: who clears g_recording then waits for us
  if (auto* recording = static_cast<Recording*>(g_recording.load()); recording != nullptr) record(*recording, context);
  g_writers.fetch_sub(1);
  errno = saved_errno;
}

template <class Recording>
bool install_handler() noexcept {
  std::array<void*, 1> frame{};
  ::backtrace(frame.data(), 1);  // loads the unwinder now: the first call allocates, which a signal handler must not
  struct sigaction action{};
  action.sa_sigaction = on_tick<Recording>;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  return ::sigaction(SIGPROF, &action, nullptr) == 0;
}

bool set_timer(microseconds period) noexcept {
  const timeval interval{.tv_sec = 0, .tv_usec = static_cast<suseconds_t>(period.count())};
  const itimerval timer{.it_interval = interval, .it_value = interval};
  return ::setitimer(ITIMER_PROF, &timer, nullptr) == 0;
}

}  // namespace

Sampler::Sampler(std::unique_ptr<Recording> recording) noexcept : recording_{std::move(recording)} {}

Result<std::unique_ptr<Sampler>> Sampler::start() {
  if (g_taken.exchange(true))
    return fail(ErrorCode::kOverloaded, "a CPU profile is being taken; one at a time", "try again when it has ended");
  // From here on the destructor gives g_taken back.
  std::unique_ptr<Sampler> sampler{new Sampler{std::make_unique<Recording>()}};
  void* const pages =
      ::mmap(nullptr, kCpuProfileBytesMax, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return fail(ErrorCode::kOutOfMemory, "no address space for the samples of a CPU profile");
  sampler->recording_->words = static_cast<std::uintptr_t*>(pages);
  if (!install_handler<Recording>())
    return fail(ErrorCode::kIo, fmt::format("cannot handle SIGPROF: {}", std::strerror(errno)));
  g_recording.store(sampler->recording_.get());
  if (!set_timer(kCpuProfilePeriod))
    return fail(ErrorCode::kIo, fmt::format("cannot start a CPU profile: {}", std::strerror(errno)));
  return sampler;
}

// The handler stays: a signal that is still under way would end the process without one.
void Sampler::stop() noexcept {
  set_timer(microseconds{0});
  g_recording.store(nullptr);
}

bool Sampler::is_quiet() noexcept { return g_writers.load() == 0; }

Sampler::~Sampler() {
  stop();
  constexpr int kSpinsMax = 1'000;
  for (int i = 0; i < kSpinsMax && !is_quiet(); ++i) std::this_thread::sleep_for(microseconds{100});
  if (!is_quiet()) static_cast<void>(recording_.release());  // better lost than written to when it is gone
  g_taken.store(false);
}

std::span<const std::uintptr_t> Sampler::words() const noexcept {
  return {recording_->words, recording_->used.load(std::memory_order_relaxed)};
}

std::uint64_t Sampler::dropped() const noexcept { return recording_->dropped.load(std::memory_order_relaxed); }

}  // namespace llmd
