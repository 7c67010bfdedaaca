#include "apps/worker/event_router.h"

#include <utility>

namespace llmd::worker {

void EventRouter::on_events(std::vector<SequenceEvent>&& events) {
  loop_.post([self = shared_from_this(), events = std::move(events)]() mutable { self->deliver(std::move(events)); });
}

void EventRouter::deliver(std::vector<SequenceEvent>&& events) {
  for (SequenceEvent& event : events) {
    // A request that is gone has detached; what its cancelled sequences still say is dropped.
    const auto found = receivers_.find(event.sequence);
    if (found != receivers_.end()) found->second->on_event(std::move(event));
  }
}

}  // namespace llmd::worker
