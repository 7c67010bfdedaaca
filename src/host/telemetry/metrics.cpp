#include "telemetry/metrics.h"

#include <algorithm>
#include <iterator>
#include <list>
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

/// The labels that an alias has, of a series of its family.
LabelSet renamed(const LabelSet& labels, const std::vector<std::pair<std::string, std::string>>& names) {
  LabelSet out;
  out.reserve(names.size());
  for (const auto& [from, to] : names) {
    const auto found = std::ranges::find(labels, from, [](const auto& label) { return std::string_view{label.first}; });
    if (found != labels.end()) out.emplace_back(to, found->second);
  }
  return out;
}

/// Makes `into`, which nothing else knows, the sum of both. Histograms with other bounds are left out.
void add_up(MetricsRegistry::Series& into, const MetricsRegistry::Series& other) {
  if (into.counter != nullptr) {
    const auto sum = std::make_shared<Counter>();
    sum->add(into.counter->value() + other.counter->value());
    into.counter = sum;
  } else if (into.gauge != nullptr) {
    const auto sum = std::make_shared<Gauge>();
    sum->set(into.gauge->value() + other.gauge->value());
    into.gauge = sum;
  } else if (std::ranges::equal(into.histogram->upper_bounds(), other.histogram->upper_bounds())) {
    const auto sum = std::make_shared<Histogram>(into.histogram->upper_bounds());
    sum->add(*into.histogram);
    sum->add(*other.histogram);
    into.histogram = sum;
  }
}

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

void Histogram::add(const Histogram& other) noexcept {
  for (std::size_t i = 0; i <= upper_bounds_.size(); ++i)
    counts_[i].fetch_add(other.counts_[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
  sum_.fetch_add(other.sum_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

struct MetricsRegistry::FamilyState {
  struct SeriesState {
    LabelSet labels;
    std::shared_ptr<Counter> counter;
    std::shared_ptr<Gauge> gauge;
    std::shared_ptr<Histogram> histogram;
  };
  struct Alias {
    std::string name;
    std::string help;
    std::vector<std::pair<std::string, std::string>> labels;
  };
  std::string name;
  std::string help;
  MetricType type = MetricType::kCounter;
  std::size_t series_max = kSeriesMax;
  std::list<SeriesState> series;
  std::unordered_map<std::string, std::list<SeriesState>::iterator> by_labels;
  std::vector<Alias> aliases;

  /// The series of `labels`, made by `make(SeriesState&)` if it is new; the "other" series once the family is full.
  template <class Make>
  SeriesState& find_or_make(LabelSet labels, Make make) {
    std::string key = key_of(labels);
    if (const auto found = by_labels.find(key); found != by_labels.end()) return *found->second;
    if (series.size() >= series_max) {
      for (auto& [name_of_label, value] : labels) value = "other";
      key = key_of(labels);
      if (const auto found = by_labels.find(key); found != by_labels.end()) return *found->second;
    }
    SeriesState& made = series.emplace_back();
    made.labels = std::move(labels);
    make(made);
    by_labels.emplace(std::move(key), std::prev(series.end()));
    return made;
  }

  [[nodiscard]] Family shown() const {
    Family out{.name = name, .help = help, .type = type, .series = {}};
    out.series.reserve(series.size());
    for (const SeriesState& each : series)
      out.series.push_back({each.labels, each.counter, each.gauge, each.histogram});
    return out;
  }

  /// The same under another name: series that have the same labels there are added up.
  [[nodiscard]] Family shown_as(const Alias& alias) const {
    Family out{.name = alias.name, .help = alias.help, .type = type, .series = {}};
    std::unordered_map<std::string, std::size_t> places;
    for (const SeriesState& each : series) {
      Series shown{renamed(each.labels, alias.labels), each.counter, each.gauge, each.histogram};
      const auto [place, is_new] = places.try_emplace(key_of(shown.labels), out.series.size());
      if (is_new) {
        out.series.push_back(std::move(shown));
      } else {
        add_up(out.series[place->second], shown);
      }
    }
    return out;
  }
};

MetricsRegistry::MetricsRegistry() = default;
MetricsRegistry::MetricsRegistry(MetricsRegistry& parent, LabelSet labels)
    : parent_{&parent}, labels_{std::move(labels)} {}
MetricsRegistry::~MetricsRegistry() { forget_refreshers(); }

LabelSet MetricsRegistry::with_own(LabelSet labels) const {
  for (const auto& own : labels_) {
    const auto has = [&own](const auto& label) { return label.first == own.first; };
    if (std::ranges::none_of(labels, has)) labels.push_back(own);
  }
  return labels;
}

MetricsRegistry::FamilyState& MetricsRegistry::family(const FamilySpec& spec) {
  const auto [place, is_new] = by_name_.try_emplace({std::string{spec.name}, spec.type}, nullptr);
  if (!is_new) return *place->second;
  auto made = std::make_unique<FamilyState>();
  made->name = spec.name;
  made->help = spec.help;
  made->type = spec.type;
  if (spec.series_max > 0) made->series_max = spec.series_max;
  place->second = made.get();
  return *families_.emplace_back(std::move(made));
}

void MetricsRegistry::declare(const FamilySpec& spec) {
  if (parent_ != nullptr) return parent_->declare(spec);
  const std::scoped_lock lock{mutex_};
  (void)family(spec);
}

void MetricsRegistry::alias(const AliasSpec& spec) {
  if (parent_ != nullptr) return parent_->alias(spec);
  const std::scoped_lock lock{mutex_};
  const auto of = std::ranges::find(families_, spec.of, [](const auto& each) { return std::string_view{each->name}; });
  if (of == families_.end()) return;
  std::vector<FamilyState::Alias>& aliases = (*of)->aliases;
  if (std::ranges::find(aliases, spec.name, &FamilyState::Alias::name) != aliases.end()) return;
  aliases.push_back({std::string{spec.name}, std::string{spec.help}, {spec.labels.begin(), spec.labels.end()}});
}

void MetricsRegistry::remove(std::string_view family, const LabelSet& labels) {
  if (parent_ != nullptr) return parent_->remove(family, with_own(labels));
  const std::string key = key_of(labels);
  const std::scoped_lock lock{mutex_};
  for (const MetricType type : {MetricType::kCounter, MetricType::kGauge, MetricType::kHistogram}) {
    const auto of = by_name_.find({std::string{family}, type});
    if (of == by_name_.end()) continue;
    const auto found = of->second->by_labels.find(key);
    if (found == of->second->by_labels.end()) continue;
    of->second->series.erase(found->second);
    of->second->by_labels.erase(found);
  }
}

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help, LabelSet labels) {
  if (parent_ != nullptr) return parent_->counter(name, help, with_own(std::move(labels)));
  const std::scoped_lock lock{mutex_};
  const auto make = [](FamilyState::SeriesState& series) { series.counter = std::make_shared<Counter>(); };
  return *family({name, MetricType::kCounter, help}).find_or_make(std::move(labels), make).counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help, LabelSet labels) {
  if (parent_ != nullptr) return parent_->gauge(name, help, with_own(std::move(labels)));
  const std::scoped_lock lock{mutex_};
  const auto make = [](FamilyState::SeriesState& series) { series.gauge = std::make_shared<Gauge>(); };
  return *family({name, MetricType::kGauge, help}).find_or_make(std::move(labels), make).gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help,
                                      std::span<const double> upper_bounds, LabelSet labels) {
  if (parent_ != nullptr) return parent_->histogram(name, help, upper_bounds, with_own(std::move(labels)));
  const std::scoped_lock lock{mutex_};
  const auto make = [&](FamilyState::SeriesState& series) {
    series.histogram = std::make_shared<Histogram>(upper_bounds);
  };
  return *family({name, MetricType::kHistogram, help}).find_or_make(std::move(labels), make).histogram;
}

void MetricsRegistry::on_collect(std::function<void()> refresh) {
  (parent_ != nullptr ? parent_ : this)->add_refresher(this, std::move(refresh));
}

void MetricsRegistry::add_refresher(const MetricsRegistry* owner, std::function<void()> refresh) {
  const std::scoped_lock lock{mutex_};
  refreshers_.emplace_back(owner, std::move(refresh));
}

void MetricsRegistry::forget_refreshers() {
  if (parent_ == nullptr) return;
  const std::scoped_lock lock{parent_->mutex_};
  std::erase_if(parent_->refreshers_, [this](const auto& each) { return each.first == this; });
}

std::vector<MetricsRegistry::Family> MetricsRegistry::collect() {
  if (parent_ != nullptr) return parent_->collect();
  const std::scoped_lock lock{mutex_};
  for (const auto& [owner, refresh] : refreshers_) refresh();
  std::vector<Family> out;
  out.reserve(families_.size());
  for (const auto& family : families_) {
    out.push_back(family->shown());
    for (const auto& alias : family->aliases) out.push_back(family->shown_as(alias));
  }
  return out;
}

}  // namespace llmd
