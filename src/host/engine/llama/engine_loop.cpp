#include "engine/llama/engine_loop.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "telemetry/log.h"

namespace llmd::engine {

EngineLoop::EngineLoop(Parts parts)
    : scheduler_{parts.batching},
      step_budget_{parts.step_budget},
      runner_{std::move(parts.runner)},
      embedder_{std::move(parts.embedder)},
      waiting_max_{parts.batching.waiting_max} {
  publish();
}

bool EngineLoop::reserve_place() noexcept {
  std::uint32_t waiting = waiting_.load(std::memory_order_relaxed);
  do {
    if (waiting >= waiting_max_) return false;
  } while (!waiting_.compare_exchange_weak(waiting, waiting + 1, std::memory_order_relaxed));
  return true;
}

bool EngineLoop::submit(std::unique_ptr<Sequence> sequence) {
  {
    const std::lock_guard lock{mutex_};
    ++live_;
  }
  const SequenceId id = sequence->id;
  if (inbox_.post({.kind = Command::Kind::kSubmit, .id = id, .sequence = std::move(sequence)})) return true;
  return_place();
  const std::lock_guard lock{mutex_};
  --live_;
  return false;
}

bool EngineLoop::wait_until_empty(TimePoint deadline) {
  std::unique_lock lock{mutex_};
  return emptied_.wait_until(lock, deadline, [&] { return live_ == 0; });
}

EngineLoad EngineLoop::load() const {
  EngineLoad load;
  {
    const std::lock_guard lock{mutex_};
    load = load_;
  }
  if (const KvBlocks* blocks = runner_.blocks()) {
    const kvstore::BlockStoreStats stats = blocks->store().stats();
    load.store_blocks = stats.blocks;
    load.store_bytes = stats.block_bytes_held;
    load.store_evictions = stats.evictions;
  }
  return load;
}

void EngineLoop::run() {
  while (!stopping_) {
    const TimePoint until = has_work() ? TimePoint{} : SteadyClock::now() + seconds{1};
    for (Command& command : inbox_.take(until)) apply(std::move(command));
    try {
      step();
    } catch (const std::exception& failure) {
      // Memory ran out in the middle of a step: nothing is known of what it left behind.
      abandon_all({.code = ErrorCode::kInternal, .what = std::string{"the engine's step failed: "} + failure.what()});
    }
    events_.deliver();
    publish();
  }
  for (Command& command : inbox_.close()) {
    if (command.kind == Command::Kind::kSubmit) start(std::move(command.sequence));
  }
  abandon_all({.code = ErrorCode::kShuttingDown, .what = "the engine shut down before the sequence ended"});
  events_.deliver();
  publish();
}

bool EngineLoop::has_work() const noexcept {
  return scheduler_.running() + scheduler_.waiting() > 0 || (embedder_ && !embedder_->empty());
}

void EngineLoop::apply(Command&& command) {
  switch (command.kind) {
    case Command::Kind::kSubmit: return start(std::move(command.sequence));
    case Command::Kind::kStop: stopping_ = true; return;
    case Command::Kind::kCancel: {
      if (const auto found = sequences_.find(command.id); found != sequences_.end()) {
        end(*found->second, FinishReason::kCancelled, {});
        return forget(command.id);
      }
      if (!embedder_) return;
      if (const auto sequence = embedder_->take(command.id)) {
        end(*sequence, FinishReason::kCancelled, {});
        gone(*sequence);
      }
      return;
    }
  }
}

void EngineLoop::start(std::unique_ptr<Sequence> sequence) {
  if (sequence->request.embed) return embedder_->add(std::move(sequence));
  const SequenceId id = sequence->id;
  Sequence& started = *(sequences_[id] = std::move(sequence));
  const auto added = scheduler_.add({.id = id,
                                     .prompt_tokens = started.prompt_tokens(),
                                     .tokens_max = started.tokens_max,
                                     .priority = started.request.priority,
                                     .no_restore = started.request.prompt_logprobs.has_value()});
  if (added) return;
  end(started, FinishReason::kError, added.error());
  forget(id);
}

void EngineLoop::step() {
  if (embedder_ && !embedder_->empty()) {
    const auto sequence = embedder_->step(events_);
    leave_waiting(*sequence);
    gone(*sequence);
  }
  scheduler_.limit_prefill(step_budget_.prefill_tokens(scheduler_.decoding(), scheduler_.waiting_tokens()));
  const batching::StepPlan plan =
      scheduler_.schedule([&](SequenceId id) { return runner_.restorable_tokens(*sequences_.at(id)); },
                          [&](SequenceId a, SequenceId b, std::uint32_t first) {
                            return runner_.share_block(*sequences_.at(a), *sequences_.at(b), first);
                          });
  if (plan.empty()) return;
  const StepCounters before = runner_.counters();
  const TimePoint began = SteadyClock::now();
  const StepRunner::Result result = runner_.run(plan, sequences_, events_);
  learn(plan, SteadyClock::now() - began);
  tell_step(before);
  scheduler_.update(result.outcomes);
  for (const SequenceId id : result.admitted) leave_waiting(*sequences_.at(id));
  for (const SequenceId id : result.finished) forget(id);
}

void EngineLoop::learn(const batching::StepPlan& plan, Duration took) {
  std::uint32_t decodes = 0;
  std::uint32_t prefills = 0;
  for (const batching::Work& work : plan.work) {
    (work.first >= sequences_.at(work.id)->prompt_tokens() ? decodes : prefills) += work.count;
  }
  step_budget_.observe(decodes, prefills, to_milliseconds(took));
}

void EngineLoop::set_step_sink(std::shared_ptr<StepSink> sink) {
  const std::lock_guard lock{mutex_};
  step_sink_ = std::move(sink);
}

void EngineLoop::tell_step(const StepCounters& before) {
  std::shared_ptr<StepSink> sink;
  {
    const std::lock_guard lock{mutex_};
    sink = step_sink_;
  }
  if (!sink) return;
  const StepCounters& after = runner_.counters();
  sink->on_step({.prompt_tokens = static_cast<std::uint32_t>(after.prompt_tokens - before.prompt_tokens),
                 .generated_tokens = static_cast<std::uint32_t>(after.generation_tokens - before.generation_tokens)});
}

void EngineLoop::abandon_all(const Error& error) {
  std::vector<SequenceId> ids;
  for (const auto& [id, sequence] : sequences_) ids.push_back(id);
  for (const SequenceId id : ids) {
    end(*sequences_.at(id), FinishReason::kError, error);
    forget(id);
  }
  while (embedder_ && !embedder_->empty()) {
    const auto sequence = embedder_->take_any();
    end(*sequence, FinishReason::kError, error);
    gone(*sequence);
  }
  runner_.clear_all();
}

void EngineLoop::end(Sequence& sequence, FinishReason reason, std::optional<Error> error) {
  if (const auto slot = scheduler_.remove(sequence.id)) runner_.clear(*slot);
  if (error) log::write(log::Level::kWarn, sequence.request.request_id, error->to_string());
  events_.add(sequence.sink, {.sequence = sequence.id,
                              .finish = reason,
                              .error = std::move(error),
                              .usage = sequence.usage,
                              .times = sequence.times});
}

void EngineLoop::forget(SequenceId id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return;
  gone(*found->second);
  sequences_.erase(found);
}

void EngineLoop::gone(const Sequence& sequence) {
  if (sequence.counted_waiting) return_place();
  const std::lock_guard lock{mutex_};
  if (--live_ == 0) emptied_.notify_all();
}

void EngineLoop::leave_waiting(Sequence& sequence) {
  if (sequence.counted_waiting) return_place();
  sequence.counted_waiting = false;
}

void EngineLoop::publish() {
  const StepCounters& counters = runner_.counters();
  const std::uint64_t cells = scheduler_.cells_total();
  const std::lock_guard lock{mutex_};
  load_.running = scheduler_.running();
  load_.waiting = scheduler_.waiting() + (embedder_ ? embedder_->size() : 0);
  load_.waiting_tokens = static_cast<std::uint32_t>(std::min<std::uint64_t>(scheduler_.waiting_tokens(), UINT32_MAX));
  load_.decode_tokens_left = scheduler_.decode_tokens_left();
  load_.kv_usage = cells == 0 ? 0.0F : static_cast<float>(scheduler_.cells_used()) / static_cast<float>(cells);
  load_.prefix_queries_tokens = counters.prefix_queries_tokens;
  load_.prefix_hits_tokens = counters.prefix_hits_tokens;
  load_.preemptions = scheduler_.preemptions();
  load_.prompt_tokens = counters.prompt_tokens;
  load_.generation_tokens = counters.generation_tokens;
  load_.steps = counters.steps;
  load_.block_reuse = runner_.blocks() != nullptr;
}

}  // namespace llmd::engine
