#pragma once

#include "telemetry/metrics.h"

namespace llmd::kvevents {

/// The series of one endpoint's events. Thread-safe; the registry must outlive it.
class EventMetrics {
 public:
  explicit EventMetrics(MetricsRegistry& registry);

  Counter& batches;          // sent
  Counter& bytes;            // of their payloads
  Counter& dropped_queue;    // batches that found no room in the queue
  Counter& dropped_hwm;      // sent while a consumer was `hwm` behind, which missed them
  Counter& dropped_backlog;  // cut off with consumers that were too many bytes behind
  Counter& replays;          // that were asked for
  Gauge& replay_buffer_bytes;
};

}  // namespace llmd::kvevents
