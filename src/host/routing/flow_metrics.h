#pragma once

#include <cstdint>
#include <string>

#include "flow/flow_controller.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Flow control's series, under llm-d's names and labels, so that dashboards made for it read them. Thread-safe as the
/// registry is.
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
  void evicting(std::int32_t priority, std::size_t requests);
  /// What is read from time to time. `detector` names the saturation detector.
  void refresh(const flow::FlowController& controller, const flow::GateReading& reading, const std::string& detector);

 private:
  MetricsRegistry& metrics_;
  Histogram& cycle_;
};

}  // namespace llmd::routing
