#pragma once

#include <cstdint>
#include <string>

#include "flow/flow_controller.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Flow control's series, under llm-d's names and labels, so that dashboards made for it read them. Not thread-safe:
/// the strand calls it.
class FlowMetrics {
 public:
  explicit FlowMetrics(MetricsRegistry& metrics);

  /// Whose request it is, as labels.
  struct Whose {
    const std::string& fairness_id;
    const std::string& model;
    std::int32_t priority = 0;
    std::uint64_t bytes = 0;
  };
  void entered(const Whose& whose);
  /// Of one that entered.
  void left(const Whose& whose, flow::Outcome outcome, Duration waited);
  /// However it ended, also of one that never waited.
  void counted(std::int32_t priority, flow::Outcome outcome);
  void stepped(Duration took) { cycle_.observe(to_seconds(took)); }
  /// It was asked for, or refused, within `took`.
  void enqueued(const Whose& whose, flow::Outcome outcome, Duration took);
  void evicting(std::int32_t priority, std::size_t requests);
  /// A victim has ended, so long after it was named.
  void evicted(Duration took);
  /// How many victims did not end in time, in all.
  void evictions_given_up(std::uint64_t total);
  /// What is read from time to time. `detector` names the saturation detector.
  void refresh(const flow::FlowController& controller, const flow::GateReading& reading, const std::string& detector);

 private:
  [[nodiscard]] Counter& revocations(const char* outcome);

  MetricsRegistry& metrics_;
  std::uint64_t given_up_ = 0;
  Histogram& cycle_;
};

}  // namespace llmd::routing
