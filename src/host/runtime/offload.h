#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/event.h"
#include "runtime/loop.h"

namespace llmd {

/// A few threads for work that would hold up a loop: rendering and tokenising long prompts, compiling grammars.
/// Bounded: a job beyond `jobs_max` queued and running ones is refused. Any loop may call, and outlives its jobs; the
/// destructor waits for running jobs.
class Offload {
 public:
  Offload(unsigned threads, std::size_t jobs_max);
  ~Offload();
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  /// Runs `work` (which returns a Result, throws nothing and owns all it uses) on a thread of the pool. Errors beside
  /// its own: kOverloaded, kDeadlineExceeded (the work then ends unheard).
  template <class Work>
  [[nodiscard]] Task<std::invoke_result_t<Work>> run(Loop& loop, TimePoint deadline, Work work) {
    using Answer = std::invoke_result_t<Work>;
    struct Job {
      Job(Loop& on, Work&& what) : done{on}, work{std::move(what)} {}
      Event done;
      Work work;
      std::optional<Answer> answer;
    };
    auto job = std::make_shared<Job>(loop, std::move(work));
    const bool queued = try_post([job, &loop] {
      job->answer.emplace(job->work());
      loop.post([job] { job->done.set(); });
    });
    if (!queued) co_return std::unexpected(queue_full());
    const bool finished = co_await job->done.wait_until(deadline);
    if (!finished) co_return std::unexpected(too_late());
    co_return std::move(*job->answer);
  }

  [[nodiscard]] std::size_t jobs() const noexcept { return jobs_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] bool try_post(std::move_only_function<void()> job);
  [[nodiscard]] Error queue_full() const;
  [[nodiscard]] static Error too_late();

  const std::size_t jobs_max_;
  std::atomic<std::size_t> jobs_{0};
  asio::thread_pool pool_;
};

}  // namespace llmd
