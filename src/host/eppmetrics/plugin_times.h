#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "scheduling/plugin_timing.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// Where the times of one scheduler's plugins are counted. Thread-safe. Who has a clock implements
/// scheduling::PluginTiming with it.
class PluginTimes {
 public:
  /// `plugins` are Scheduler::timed_plugins(); `registry` must outlive it.
  PluginTimes(MetricsRegistry& registry, std::span<const scheduling::TimedPlugin> plugins);
  /// A call of the plugin at that place took so long. Nothing happens beyond the last place.
  void took(std::size_t place, Duration time) const noexcept {
    if (place < series_.size()) series_[place]->observe(to_seconds(time));
  }
  /// The place of what predicts latencies; beyond the last if nothing does.
  [[nodiscard]] std::size_t prediction_place() const noexcept { return prediction_place_; }

 private:
  std::vector<Histogram*> series_;  // by place
  std::size_t prediction_place_;
};

/// The same of a plugin that runs elsewhere, such as a parser: `extension_point` as llm-d names it (RequestParsing).
[[nodiscard]] Histogram& plugin_time(MetricsRegistry& registry, std::string_view extension_point, std::string_view type,
                                     std::string_view name);

}  // namespace llmd::eppmetrics
