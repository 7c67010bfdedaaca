#include "eppmetrics/plugin_times.h"

#include <algorithm>
#include <array>

#include "eppmetrics/scheduler_families.h"

namespace llmd::eppmetrics {

PluginTimes::PluginTimes(MetricsRegistry& registry, std::span<const scheduling::TimedPlugin> plugins) {
  constexpr std::string_view kPredictor = "predicted-latency-producer";
  const auto predictor = std::ranges::find(plugins, kPredictor, &scheduling::TimedPlugin::type);
  prediction_place_ = static_cast<std::size_t>(predictor - plugins.begin());
  series_.reserve(plugins.size());
  for (const scheduling::TimedPlugin& each : plugins)
    series_.push_back(&plugin_time(registry, each.extension_point, each.type, each.name));
}

Histogram& plugin_time(MetricsRegistry& registry, std::string_view extension_point, std::string_view type,
                       std::string_view name) {
  return histogram_of(registry, kPluginDuration, std::array{extension_point, type, name});
}

}  // namespace llmd::eppmetrics
