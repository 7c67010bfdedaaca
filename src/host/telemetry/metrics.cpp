#include "telemetry/metrics.h"

#include <algorithm>
#include <unordered_map>

namespace llmd {
namespace {

/// Labels as one string with separators that no UTF-8 text contains, so that a family finds a series in one look-up.
std::string key_of(const LabelSet& labels) {
  std::string key;
  for (const auto& [name, value] : labels) {
    key += name;
    key += '\xff';
    key += value;
    key += '\xfe';
  }
  return key;
}

struct SeriesState {
  LabelSet labels;
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
};

}  // namespace

Histogram::Histogram(std::span<const double> upper_bounds) : upper_bounds_{upper_bounds.begin(), upper_bounds.end()} {
  std::sort(upper_bounds_.begin(), upper_bounds_.end());
  counts_ = std::make_unique<std::atomic<std::uint64_t>[]>(upper_bounds_.size() + 1);
}

void Histogram::observe(double value) noexcept {
  const auto bucket = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value) - upper_bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::View Histogram::view() const {
  View view{.upper_bounds = upper_bounds_, .cumulative = {}, .sum = sum_.load(std::memory_order_relaxed), .count = 0};
  view.cumulative.reserve(upper_bounds_.size() + 1);
  for (std::size_t i = 0; i <= upper_bounds_.size(); ++i) {
    view.count += counts_[i].load(std::memory_order_relaxed);
    view.cumulative.push_back(view.count);
  }
  return view;
}

struct MetricsRegistry::FamilyState {
  std::string name;
  std::string help;
  MetricType type = MetricType::kCounter;
  std::deque<SeriesState> series;
  std::unordered_map<std::string, SeriesState*> by_labels;

  /// The series of `labels`, made by `make(SeriesState&)` if it is new; the "other" series once the family is full.
  template <class Make>
  SeriesState& find_or_make(LabelSet labels, Make make) {
    std::string key = key_of(labels);
    if (const auto found = by_labels.find(key); found != by_labels.end()) return *found->second;
    if (series.size() >= kSeriesMax) {
      for (auto& [name_of_label, value] : labels) value = "other";
      key = key_of(labels);
      if (const auto found = by_labels.find(key); found != by_labels.end()) return *found->second;
    }
    SeriesState& made = series.emplace_back();
    made.labels = std::move(labels);
    make(made);
    by_labels.emplace(std::move(key), &made);
    return made;
  }
};

MetricsRegistry::MetricsRegistry() = default;
MetricsRegistry::~MetricsRegistry() = default;

MetricsRegistry::FamilyState& MetricsRegistry::family(std::string_view name, std::string_view help, MetricType type) {
  for (const auto& family : families_) {
    if (family->name == name && family->type == type) return *family;
  }
  auto made = std::make_unique<FamilyState>();
  made->name = name;
  made->help = help;
  made->type = type;
  return *families_.emplace_back(std::move(made));
}

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help, LabelSet labels) {
  const std::scoped_lock lock{mutex_};
  const auto make = [](SeriesState& series) { series.counter = std::make_unique<Counter>(); };
  return *family(name, help, MetricType::kCounter).find_or_make(std::move(labels), make).counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help, LabelSet labels) {
  const std::scoped_lock lock{mutex_};
  const auto make = [](SeriesState& series) { series.gauge = std::make_unique<Gauge>(); };
  return *family(name, help, MetricType::kGauge).find_or_make(std::move(labels), make).gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help,
                                      std::span<const double> upper_bounds, LabelSet labels) {
  const std::scoped_lock lock{mutex_};
  const auto make = [&](SeriesState& series) { series.histogram = std::make_unique<Histogram>(upper_bounds); };
  return *family(name, help, MetricType::kHistogram).find_or_make(std::move(labels), make).histogram;
}

void MetricsRegistry::on_collect(std::function<void()> refresh) {
  const std::scoped_lock lock{mutex_};
  refreshers_.push_back(std::move(refresh));
}

std::vector<MetricsRegistry::Family> MetricsRegistry::collect() {
  const std::scoped_lock lock{mutex_};
  for (const auto& refresh : refreshers_) refresh();
  std::vector<Family> out;
  out.reserve(families_.size());
  for (const auto& family : families_) {
    Family& made = out.emplace_back(Family{.name = family->name, .help = family->help, .type = family->type});
    made.series.reserve(family->series.size());
    for (const SeriesState& series : family->series) {
      made.series.push_back({series.labels, series.counter.get(), series.gauge.get(), series.histogram.get()});
    }
  }
  return out;
}

}  // namespace llmd
