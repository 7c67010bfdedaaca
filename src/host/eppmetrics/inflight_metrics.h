#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "eppmetrics/series_map.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// What a request adds to the load of one endpoint.
struct InflightLeg {
  std::string_view endpoint;        // its name
  std::uint64_t prompt_tokens = 0;  // not cached: until the first token
  std::uint64_t output_tokens = 0;  // estimated: until the end
  bool until_first_token = false;   // of a prefill leg: all of it is over then
};

/// The series of one endpoint, fairness id and priority.
struct InflightSeries {
  Gauge& requests;
  Gauge& tokens;
  /// Of those that changed the two. A shared_ptr's own count tells that they are done, but not that what they wrote is
  /// seen.
  std::atomic<std::uint32_t> holds{0};

  InflightSeries(Gauge& of_requests, Gauge& of_tokens) noexcept : requests{of_requests}, tokens{of_tokens} {}
};

/// A request's share of them. Movable; end() is called by who has it.
class InflightHold {
 public:
  InflightHold() = default;
  InflightHold(std::shared_ptr<InflightSeries> series, const InflightLeg& leg);
  void first_token() noexcept;
  void end() noexcept;

 private:
  std::shared_ptr<InflightSeries> series_;
  double prompt_tokens_ = 0;
  double output_tokens_ = 0;
  bool until_first_token_ = false;
};

/// What is in flight at each endpoint, as llm-d's in-flight load producer shows it. Thread-safe.
class InflightMetrics {
 public:
  /// `producer` names the plugin. `registry` must outlive it.
  InflightMetrics(MetricsRegistry& registry, std::string producer);
  [[nodiscard]] InflightHold hold(const InflightLeg& leg, std::string_view fairness_id, std::string_view priority);
  /// Takes those off the page of which `is_there(endpoint)` is false and nothing is in flight.
  void keep(const std::function<bool(const std::string&)>& is_there);

 private:
  static constexpr std::size_t kEntriesMax = 10'000;
  MetricsRegistry& registry_;
  const std::string producer_;
  SeriesMap<3, std::shared_ptr<InflightSeries>> series_{kEntriesMax};
};

/// The two parts of "namespace/name"; a name without a namespace is whole.
struct EndpointName {
  std::string_view name_space{};
  std::string_view name{};
};
[[nodiscard]] EndpointName split_endpoint_name(std::string_view name) noexcept;

}  // namespace llmd::eppmetrics
