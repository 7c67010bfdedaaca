#include "eppmetrics/family.h"

#include <fmt/format.h>

namespace llmd::eppmetrics {

void declare(MetricsRegistry& registry, const Family& family) {
  registry.declare({family.name, family.type, family.help, family.series_max});
  if (family.old.name.empty()) return;
  const std::string help = fmt::format("[ALPHA] Old name of {}", family.name);
  registry.alias({.name = family.old.name, .help = help, .of = family.name, .labels = family.old.labels});
}

LabelSet labels_of(const Family& family, std::span<const std::string_view> values) {
  LabelSet labels;
  labels.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) labels.emplace_back(family.labels[i], values[i]);
  return labels;
}

Counter& counter_of(MetricsRegistry& registry, const Family& family, std::span<const std::string_view> values) {
  return registry.counter(family.name, family.help, labels_of(family, values));
}

Gauge& gauge_of(MetricsRegistry& registry, const Family& family, std::span<const std::string_view> values) {
  return registry.gauge(family.name, family.help, labels_of(family, values));
}

Histogram& histogram_of(MetricsRegistry& registry, const Family& family, std::span<const std::string_view> values) {
  return registry.histogram(family.name, family.help, family.buckets, labels_of(family, values));
}

}  // namespace llmd::eppmetrics
