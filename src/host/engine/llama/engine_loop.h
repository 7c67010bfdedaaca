#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "batching/batch_scheduler.h"
#include "batching/step_budget.h"
#include "engine/llama/embedder.h"
#include "engine/llama/event_batch.h"
#include "engine/llama/inbox.h"
#include "engine/llama/sequence.h"
#include "engine/llama/step_runner.h"

namespace llmd::engine {

/// The engine's thread: takes commands, asks the scheduler for a step, carries it out, hands out events. Everything but
/// what is marked thread-safe belongs to the thread in run().
class EngineLoop {
 public:
  struct Parts {
    StepRunner::Parts runner;
    batching::BatchingOptions batching;
    batching::StepBudgetOptions step_budget;
    std::unique_ptr<Embedder> embedder;  // null: no embeddings
  };
  explicit EngineLoop(Parts parts);

  /// Until stop(). Every sequence has its finishing event then.
  void run();

  // Thread-safe.
  /// Takes a place among the waiting; false if they are waiting_max.
  [[nodiscard]] bool reserve_place() noexcept;
  void return_place() noexcept { waiting_.fetch_sub(1, std::memory_order_relaxed); }
  /// Pre: a place was reserved. False if the loop has ended; the place is returned then.
  [[nodiscard]] bool submit(std::unique_ptr<Sequence> sequence);
  void cancel(SequenceId id) { inbox_.post({.kind = Command::Kind::kCancel, .id = id}); }
  void set_step_sink(std::shared_ptr<StepSink> sink);
  void stop() { inbox_.post({.kind = Command::Kind::kStop}); }
  /// Whether all submitted sequences ended before the deadline.
  [[nodiscard]] bool wait_until_empty(TimePoint deadline);
  [[nodiscard]] EngineLoad load() const;
  [[nodiscard]] KvBlocks* blocks() noexcept { return runner_.blocks(); }
  [[nodiscard]] const KvBlocks* blocks() const noexcept { return runner_.blocks(); }

 private:
  [[nodiscard]] bool has_work() const noexcept;
  void apply(Command&& command);
  void start(std::unique_ptr<Sequence> sequence);
  void step();
  void learn(const batching::StepPlan& plan, Duration took);
  void tell_step(const StepCounters& before);
  void abandon_all(const Error& error);
  /// Ends a sequence that is not in the middle of a step: slot, scheduler, event.
  void end(Sequence& sequence, FinishReason reason, std::optional<Error> error);
  void forget(SequenceId id);
  void gone(const Sequence& sequence);
  void leave_waiting(Sequence& sequence);
  void publish();

  Inbox inbox_;
  batching::BatchScheduler scheduler_;
  batching::StepBudget step_budget_;
  StepRunner runner_;
  std::unique_ptr<Embedder> embedder_;
  SequenceTable sequences_;  // all but those in the embedder
  EventBatch events_;
  bool stopping_ = false;

  const std::uint32_t waiting_max_;
  std::atomic<std::uint32_t> waiting_{0};
  mutable std::mutex mutex_;
  std::condition_variable emptied_;
  std::uint64_t live_ = 0;
  EngineLoad load_;
  std::shared_ptr<StepSink> step_sink_;
};

}  // namespace llmd::engine
