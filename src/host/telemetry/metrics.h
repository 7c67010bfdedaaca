#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmd {

using LabelSet = std::vector<std::pair<std::string, std::string>>;  // in the order in which they are printed

/// Monotonic. Thread-safe, lock-free.
class Counter {
 public:
  void add(double by = 1) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Goes up and down. Thread-safe, lock-free.
class Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(double by) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Cumulative buckets as in Prometheus. Thread-safe, lock-free; observe() is O(log buckets).
class Histogram {
 public:
  explicit Histogram(std::span<const double> upper_bounds);
  void observe(double value) noexcept;
  struct View {
    std::vector<double> upper_bounds;
    std::vector<std::uint64_t> cumulative;  // one longer: the last is +Inf
    double sum = 0;
    std::uint64_t count = 0;
  };
  [[nodiscard]] View view() const;
  /// Adds all that `other` has seen, bucket by bucket. Pre: the bounds are the same.
  void add(const Histogram& other) noexcept;
  [[nodiscard]] std::span<const double> upper_bounds() const noexcept { return upper_bounds_; }

 private:
  std::vector<double> upper_bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

/// A family before it has a series.
struct FamilySpec {
  std::string_view name;
  MetricType type = MetricType::kCounter;
  std::string_view help{};
  std::size_t series_max = 0;  // 0: MetricsRegistry::kSeriesMax
};

/// Another name of a family, under which its series stand once more.
struct AliasSpec {
  std::string_view name;
  std::string_view help{};
  std::string_view of{};  // the family that is counted
  /// The labels that it has, as (label of the family, label of the alias), in the order in which they are printed.
  /// Series that differ in others alone come out as their sum.
  std::span<const std::pair<std::string_view, std::string_view>> labels{};
};

/// All metrics of a process, by family. Registration takes a lock and may be done at any time; the returned references
/// stay valid for the registry's life, or until remove(). A family's HELP and TYPE stand on the page from its
/// declaration or first registration on, whose help counts. At most `kSeriesMax` series a family, or what its
/// declaration says; beyond it the series with all label values "other" is returned.
class MetricsRegistry {
 public:
  static constexpr std::size_t kSeriesMax = 2'000;

  /// From now on the family is on the page, with or without series.
  void declare(const FamilySpec& spec);
  /// Costs nothing where things are counted: the series are put together for each page. Pre: `spec.of` is declared.
  void alias(const AliasSpec& spec);
  /// Takes a series off the page. The reference to it must not be used again. Nothing happens if there is none.
  void remove(std::string_view family, const LabelSet& labels);

  Counter& counter(std::string_view name, std::string_view help, LabelSet labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, LabelSet labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::span<const double> upper_bounds,
                       LabelSet labels = {});

  /// Runs before each collection, to refresh gauges from a live source. Runs under the registry's lock.
  void on_collect(std::function<void()> refresh);
  /// Of a view: what its on_collect() was given runs no more when this returns. Call before what it refers to goes.
  void forget_refreshers();

  struct Series {
    LabelSet labels;
    std::shared_ptr<const Counter> counter;  // one of the three
    std::shared_ptr<const Gauge> gauge;
    std::shared_ptr<const Histogram> histogram;
  };
  struct Family {
    std::string name;
    std::string help;
    MetricType type = MetricType::kCounter;
    std::vector<Series> series;
  };
  /// A consistent list of families in registration order, aliases behind the family; values are read through the
  /// pointers.
  [[nodiscard]] std::vector<Family> collect();

 private:
  struct FamilyState;
  FamilyState& family(const FamilySpec& spec);
  void add_refresher(const MetricsRegistry* owner, std::function<void()> refresh);
  [[nodiscard]] LabelSet with_own(LabelSet labels) const;
  MetricsRegistry* const parent_ = nullptr;  // null: not a view
  const LabelSet labels_{};
  std::mutex mutex_;
  std::deque<std::unique_ptr<FamilyState>> families_;
  std::map<std::pair<std::string, MetricType>, FamilyState*> by_name_;
  std::vector<std::pair<const MetricsRegistry*, std::function<void()>>> refreshers_;

 public:
  MetricsRegistry();
  /// A view of `parent`, which must outlive it and is no view itself: what is registered here is registered there, with
  /// `labels` behind its own ones unless it has one of the name. For parts that there are several of in a process.
  MetricsRegistry(MetricsRegistry& parent, LabelSet labels);
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;
};

}  // namespace llmd
