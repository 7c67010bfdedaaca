#include "engine/llama/event_batch.h"

#include <algorithm>
#include <exception>

#include "telemetry/log.h"

namespace llmd::engine {

void EventBatch::add(const std::shared_ptr<SequenceSink>& sink, SequenceEvent&& event) {
  // The events of one sink mostly come one after the other; a step has few sinks.
  const auto known =
      std::find_if(by_sink_.rbegin(), by_sink_.rend(), [&](const auto& entry) { return entry.first == sink; });
  if (known != by_sink_.rend()) {
    known->second.push_back(std::move(event));
  } else {
    by_sink_.emplace_back(sink, std::vector<SequenceEvent>{}).second.push_back(std::move(event));
  }
}

void EventBatch::deliver() {
  for (auto& [sink, events] : by_sink_) {
    try {
      sink->on_events(std::move(events));
    } catch (const std::exception& failure) {
      log::error("a sink failed to take events of the engine: {}", failure.what());
    }
  }
  by_sink_.clear();
}

}  // namespace llmd::engine
