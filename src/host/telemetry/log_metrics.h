#pragma once

#include "telemetry/metrics.h"

namespace llmd::log {

/// Adds llmd_log_lines_lost_total, so that a log that nobody can write is seen from outside. Once a process.
void add_metrics(MetricsRegistry& registry);

}  // namespace llmd::log
