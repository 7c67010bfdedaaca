#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "runtime/loop.h"

namespace llmd::worker {

/// Takes the events of one sequence. Called on the loop.
class EventReceiver {
 public:
  virtual ~EventReceiver() = default;
  virtual void on_event(SequenceEvent&& event) = 0;
};

/// The sink of all sequences of one loop: the events of an engine step, of whatever requests, cross to the loop as one
/// closure. Shared with the engine; the loop must outlive the engine.
class EventRouter final : public SequenceSink, public std::enable_shared_from_this<EventRouter> {
 public:
  explicit EventRouter(Loop& loop) noexcept : loop_{loop} {}

  /// On the engine's thread.
  void on_events(std::vector<SequenceEvent>&& events) override;

  /// On the loop, in the same turn as the submission, so that no event can be earlier. The receiver must detach before
  /// it dies.
  void attach(SequenceId sequence, EventReceiver& receiver) { receivers_[sequence] = &receiver; }
  void detach(SequenceId sequence) { receivers_.erase(sequence); }
  [[nodiscard]] std::size_t attached() const noexcept { return receivers_.size(); }

 private:
  void deliver(std::vector<SequenceEvent>&& events);

  Loop& loop_;
  std::unordered_map<SequenceId, EventReceiver*> receivers_;  // of the loop only
};

}  // namespace llmd::worker
