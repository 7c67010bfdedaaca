#include "kvevents/event_metrics.h"

namespace llmd::kvevents {
namespace {

Counter& dropped(MetricsRegistry& registry, const char* reason) {
  return registry.counter("llmd_worker_kv_events_dropped_total", "Batches of KV events that a consumer missed.",
                          {{"reason", reason}});
}

}  // namespace

EventMetrics::EventMetrics(MetricsRegistry& registry)
    : batches{registry.counter("llmd_worker_kv_events_batches_total", "Batches of KV events published.")},
      bytes{registry.counter("llmd_worker_kv_events_bytes_total", "Bytes of KV events published.")},
      dropped_queue{dropped(registry, "queue")},
      dropped_hwm{dropped(registry, "hwm")},
      dropped_backlog{dropped(registry, "backlog")},
      replays{registry.counter("llmd_worker_kv_events_replays_total", "Replays of KV events that were asked for.")},
      replay_buffer_bytes{
          registry.gauge("llmd_worker_kv_events_replay_buffer_bytes", "Bytes kept for replays of KV events.")} {}

}  // namespace llmd::kvevents
