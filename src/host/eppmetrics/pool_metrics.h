#pragma once

#include <set>
#include <string>

#include "base/clock.h"
#include "model/endpoint.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// How the pool stands, as of the last refresh. One thread at a time.
class PoolMetrics {
 public:
  /// `registry` must outlive it.
  PoolMetrics(MetricsRegistry& registry, std::string pool_name);
  /// `metrics_age_max`: endpoints whose metrics are older do not count as ready, as in llm-d. While none is ready the
  /// means stay as they were. A reading that an endpoint never told is no part of a mean. O(endpoints).
  void refresh(const EndpointSnapshot& snapshot, TimePoint now, Duration metrics_age_max);

 private:
  struct Pair {
    Gauge& mean;
    Gauge& deviation;
  };
  void show_queues(const EndpointSnapshot& snapshot);

  MetricsRegistry& registry_;
  const std::string name_;
  Gauge& ready_;
  Pair kv_;
  Pair queue_;
  Pair running_;
  std::set<std::string> shown_;  // endpoints with a series of their own
};

}  // namespace llmd::eppmetrics
