#include "telemetry/log_metrics.h"

#include <utility>

#include "telemetry/log.h"

namespace llmd::log {

void add_metrics(MetricsRegistry& registry) {
  Counter& lost = registry.counter("llmd_log_lines_lost_total",
                                   "Log lines that the output could not take: disk full, nobody reads");
  registry.on_collect([&lost, told = std::uint64_t{0}]() mutable {
    const std::uint64_t now = lost_lines();
    lost.add(static_cast<double>(now - std::exchange(told, now)));
  });
}

}  // namespace llmd::log
