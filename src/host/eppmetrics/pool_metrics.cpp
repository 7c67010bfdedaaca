#include "eppmetrics/pool_metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "eppmetrics/inflight_metrics.h"
#include "eppmetrics/pool_families.h"

namespace llmd::eppmetrics {
namespace {

/// Mean and standard deviation of a sample, in one pass.
class Spread {
 public:
  void add(double value) noexcept {
    ++count_;
    const double from_mean = value - mean_;
    mean_ += from_mean / static_cast<double>(count_);
    squares_ += from_mean * (value - mean_);
  }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] double mean() const noexcept { return mean_; }
  [[nodiscard]] double deviation() const noexcept {
    return std::sqrt(squares_ / static_cast<double>(std::max<std::size_t>(count_, 2) - 1));
  }

 private:
  std::size_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

bool may_serve(EndpointHealth health) noexcept {
  return health != EndpointHealth::kDown && health != EndpointHealth::kDraining;
}

template <class T>
bool is_fresh(const Reading<T>& reading, TimePoint now, Duration age_max) noexcept {
  return reading.value && now - reading.at <= age_max;
}

template <class T>
void add(Spread& spread, const Reading<T>& reading) noexcept {
  if (reading.value) spread.add(static_cast<double>(*reading.value));
}

}  // namespace

PoolMetrics::PoolMetrics(MetricsRegistry& registry, std::string pool_name)
    : registry_{registry},
      name_{std::move(pool_name)},
      ready_{gauge_of(registry, kReadyEndpoints, std::array<std::string_view, 1>{name_})},
      kv_{gauge_of(registry, kAverageKv, std::array<std::string_view, 1>{name_}),
          gauge_of(registry, kStdDevKv, std::array<std::string_view, 1>{name_})},
      queue_{gauge_of(registry, kAverageQueue, std::array<std::string_view, 1>{name_}),
             gauge_of(registry, kStdDevQueue, std::array<std::string_view, 1>{name_})},
      running_{gauge_of(registry, kAverageRunning, std::array<std::string_view, 1>{name_}),
               gauge_of(registry, kStdDevRunning, std::array<std::string_view, 1>{name_})} {}

void PoolMetrics::refresh(const EndpointSnapshot& snapshot, TimePoint now, Duration metrics_age_max) {
  std::size_t ready = 0;
  Spread kv;
  Spread queue;
  Spread running;
  for (const EndpointState& state : snapshot.endpoints) {
    const bool fresh = is_fresh(state.waiting_requests, now, metrics_age_max) ||
                       is_fresh(state.running_requests, now, metrics_age_max) ||
                       is_fresh(state.kv_usage, now, metrics_age_max);
    if (!fresh || !may_serve(state.health)) continue;
    ++ready;
    add(kv, state.kv_usage);
    add(queue, state.waiting_requests);
    add(running, state.running_requests);
  }
  ready_.set(static_cast<double>(ready));
  const std::pair<Pair&, const Spread&> all[] = {{kv_, kv}, {queue_, queue}, {running_, running}};
  for (const auto& [gauges, spread] : all) {
    if (spread.empty()) continue;
    gauges.mean.set(spread.mean());
    gauges.deviation.set(spread.deviation());
  }
  show_queues(snapshot);
}

void PoolMetrics::show_queues(const EndpointSnapshot& snapshot) {
  std::set<std::string> gone = std::exchange(shown_, {});
  for (const EndpointState& state : snapshot.endpoints) {
    const std::string_view endpoint = split_endpoint_name(state.endpoint->name).name;
    const std::array<std::string_view, 2> values{name_, endpoint};
    gauge_of(registry_, kEndpointQueue, values).set(state.waiting_requests.value.value_or(0));
    if (auto known = gone.extract(std::string{endpoint}); !known.empty()) {
      shown_.insert(std::move(known));
    } else {
      shown_.emplace(endpoint);
    }
  }
  for (const std::string& endpoint : gone) {
    const std::array<std::string_view, 2> values{name_, endpoint};
    registry_.remove(kEndpointQueue.name, labels_of(kEndpointQueue, values));
  }
}

}  // namespace llmd::eppmetrics
