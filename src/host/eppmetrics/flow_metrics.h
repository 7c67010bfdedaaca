#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "flow/eviction_planner.h"
#include "flow/flow_controller.h"
#include "telemetry/metrics.h"

namespace llmd::eppmetrics {

/// Flow control's series, under llm-d's names and labels, so that dashboards made for it read them. Not thread-safe:
/// the strand calls it. What a request needs is looked up once, as the registry's own look-ups cost more than the rest.
class FlowMetrics {
 public:
  /// Whose series there are at most; the others share one, as in llm-d.
  static constexpr std::size_t kWhoseMax = 1'000;

  /// `pool_name` is the label inference_pool; llm-d's "epp" is that of a pool that is none of Kubernetes'.
  explicit FlowMetrics(MetricsRegistry& metrics, std::string pool_name = "epp");

  /// Whose request it is, as labels.
  struct Whose {
    std::string_view fairness_id;
    std::string_view model;
    std::int32_t priority = 0;
    std::string_view target_model{};  // empty: the same
  };
  /// The series of all that are labelled so.
  class Series {
   public:
    Series(MetricsRegistry& metrics, const std::string& pool, const Whose& whose);
    /// It was asked for: it waits from now on, with a body of so many bytes; this took so long.
    void entered(std::uint64_t bytes, Duration took);
    /// Of one that entered.
    void left(std::uint64_t bytes, flow::Outcome outcome, Duration waited);
    /// It may not even wait.
    void refused(flow::Outcome outcome, Duration took);

   private:
    static constexpr std::size_t kOutcomes = 7;
    void count(flow::Outcome outcome);
    [[nodiscard]] Histogram& taken_in(std::string_view outcome) const;
    [[nodiscard]] std::array<std::string_view, 5> labels() const;  // as kFlowLabels

    MetricsRegistry& metrics_;
    const std::string& pool_;
    std::string fairness_id_;
    std::string model_;
    std::string target_model_;
    std::string priority_;
    Gauge& size_;
    Gauge& bytes_;
    Histogram& taken_in_;
    std::array<Histogram*, kOutcomes> waited_{};
    std::array<Counter*, kOutcomes> counted_{};
  };
  /// Good as long as this object.
  [[nodiscard]] Series& series_of(const Whose& whose);

  void stepped(Duration took) { cycle_.observe(to_seconds(took)); }
  void evicting(std::int32_t priority, std::size_t requests);
  /// What evictions want back and have under way.
  void reclaiming(const flow::EvictionPlanner::Reclaim& reclaim);
  /// A victim has ended, so long after it was named.
  void evicted(Duration took);
  /// How many victims did not end in time, in all.
  void evictions_given_up(std::uint64_t total);
  /// What is read from time to time. `detector` names the saturation detector.
  void refresh(const flow::FlowController& controller, const flow::GateReading& reading, const std::string& detector);

 private:
  [[nodiscard]] Counter& revocations(std::string_view outcome);
  [[nodiscard]] std::array<std::string_view, 1> pool() const { return {pool_}; }

  MetricsRegistry& metrics_;
  const std::string pool_;
  std::unordered_map<std::string, Series> series_;
  std::string key_;  // scratch
  std::uint64_t given_up_ = 0;
  Histogram& cycle_;
};

}  // namespace llmd::eppmetrics
