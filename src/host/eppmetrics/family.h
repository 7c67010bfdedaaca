#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// A label of a family, and what an alias calls it.
using LabelName = std::pair<std::string_view, std::string_view>;

/// The name under which llm-d showed a family before, with the labels that it had.
struct OldName {
  std::string_view name{};  // empty: there is none
  std::span<const LabelName> labels{};
};

/// One family of llm-d's page: what its docs/metrics.md and its own table say of it.
struct Family {
  std::string_view name;
  MetricType type = MetricType::kCounter;
  std::string_view help;
  std::span<const std::string_view> labels{};
  OldName old{};
  std::span<const double> buckets{};  // of histograms
  std::size_t series_max = 0;         // 0: the registry's
};

// How tables of families are written.

[[nodiscard]] constexpr Family counter(std::string_view name, std::string_view help,
                                       std::span<const std::string_view> labels = {}, OldName old = {}) {
  return {.name = name, .type = MetricType::kCounter, .help = help, .labels = labels, .old = old};
}
[[nodiscard]] constexpr Family gauge(std::string_view name, std::string_view help,
                                     std::span<const std::string_view> labels = {}, OldName old = {}) {
  return {.name = name, .type = MetricType::kGauge, .help = help, .labels = labels, .old = old};
}
[[nodiscard]] constexpr Family histogram(std::string_view name, std::string_view help, std::span<const double> buckets,
                                         std::span<const std::string_view> labels = {}, OldName old = {}) {
  return {.name = name, .type = MetricType::kHistogram, .help = help, .labels = labels, .old = old, .buckets = buckets};
}
[[nodiscard]] constexpr OldName alias(std::string_view name, std::span<const LabelName> labels = {}) {
  return {.name = name, .labels = labels};
}
/// One series for each endpoint of a large pool.
[[nodiscard]] constexpr Family of_endpoints(Family family) {
  constexpr std::size_t kEndpointSeriesMax = 10'000;
  family.series_max = kEndpointSeriesMax;
  return family;
}

/// The list of an alias that has all labels, under the same names.
template <std::size_t N>
[[nodiscard]] constexpr std::array<LabelName, N> same_labels(const std::array<std::string_view, N>& labels) {
  std::array<LabelName, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = {labels[i], labels[i]};
  return out;
}

/// Puts HELP and TYPE of the family and of its old name on the page.
void declare(MetricsRegistry& registry, const Family& family);

/// The labels of a series: the family's, with these values. Pre: one value a label.
[[nodiscard]] LabelSet labels_of(const Family& family, std::span<const std::string_view> values);

/// The series of the values. Pre: the family's type; one value a label.
[[nodiscard]] Counter& counter_of(MetricsRegistry& registry, const Family& family,
                                  std::span<const std::string_view> values = {});
[[nodiscard]] Gauge& gauge_of(MetricsRegistry& registry, const Family& family,
                              std::span<const std::string_view> values = {});
[[nodiscard]] Histogram& histogram_of(MetricsRegistry& registry, const Family& family,
                                      std::span<const std::string_view> values = {});

}  // namespace llmd::eppmetrics
