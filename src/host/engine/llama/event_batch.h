#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace llmd::engine {

/// The events of one step, handed over once for each sink. Engine's thread.
class EventBatch {
 public:
  void add(const std::shared_ptr<SequenceSink>& sink, SequenceEvent&& event);
  /// Calls every sink. A sink that throws loses its events, and the engine goes on.
  void deliver();

 private:
  std::vector<std::pair<std::shared_ptr<SequenceSink>, std::vector<SequenceEvent>>> by_sink_;
};

}  // namespace llmd::engine
