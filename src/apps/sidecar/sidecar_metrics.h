#pragma once

#include "telemetry/metrics.h"

namespace llmd::sidecar {

/// What the sidecar counts; docs/metrics.md explains each.
struct SidecarMetrics {
  explicit SidecarMetrics(MetricsRegistry& registry);

  Counter& split;
  Counter& local;
  Counter& proxied;
  Counter& prefill_failures;
  Counter& prefill_retries;
  Counter& local_prefills;
  Histogram& prefill_seconds;
  Counter& encodes;
  Counter& encode_failures;
  Counter& denied;
  Counter& cancelled;
  Counter& engine_refused;
  Counter& engine_cut;
  Counter& engine_timeouts;
  Gauge& in_flight;
  Counter& names_resolved;
  Counter& names_changed;
  Counter& names_failed;
};

}  // namespace llmd::sidecar
