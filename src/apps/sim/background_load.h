#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "apps/sim/prober.h"
#include "base/clock.h"
#include "base/error.h"

namespace llmd::sim {

/// Keeps endpoints busy without a pause: each has two requests under way, from two threads with a Prober of their own,
/// so that one computes while the other's answer ends. Its functions are called on the thread that made it.
class BackgroundLoad {
 public:
  enum class Kind : std::uint8_t { kDecoding, kPrompts };  // short prompts with long answers; the other way round
  struct Options {
    std::uint32_t prompt_tokens = 256;  // of long prompts
    double tokens_per_word = 1;
    TimePoint deadline{};  // when it ends
  };

  BackgroundLoad(const std::vector<ProbeTarget>& targets, const Options& options);
  /// Waits for the requests under way, at most until the deadline.
  ~BackgroundLoad() {
    for (std::jthread& thread : threads_) thread.request_stop();  // all, before the first is waited for
  }
  BackgroundLoad(const BackgroundLoad&) = delete;
  BackgroundLoad& operator=(const BackgroundLoad&) = delete;

  /// What is asked for from the next requests on.
  void turn_to(Kind kind) noexcept { kind_.store(kind, std::memory_order_relaxed); }
  /// The first error of an endpoint, which is idle since; the deadline is none.
  [[nodiscard]] Result<void> check() const;

 private:
  void run(const std::stop_token& stop, const ProbeTarget& target, std::uint64_t seed);

  const Options options_;
  std::atomic<Kind> kind_{Kind::kDecoding};
  mutable std::mutex mutex_;
  std::optional<Error> error_;         // guarded by mutex_
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace llmd::sim
