#pragma once

#include "telemetry/metrics.h"

namespace llmd::epp {

/// Series of the picker that llm-d has not.
struct OwnMetrics {
  explicit OwnMetrics(MetricsRegistry& registry)
      : streams{registry.gauge("llmd_epp_streams",
                               "ext_proc streams that are open: requests between their first header "
                               "and the last byte of their answer")},
        picked{registry.counter("llmd_epp_picks_total", "Requests that were given an endpoint")},
        refused{registry.counter("llmd_epp_refusals_total", "Requests that were answered by the picker itself")},
        misled{registry.counter("llmd_epp_served_elsewhere_total",
                                "Answers that came from another endpoint than the first that was named")} {}

  Gauge& streams;
  Counter& picked;
  Counter& refused;
  Counter& misled;
};

}  // namespace llmd::epp
