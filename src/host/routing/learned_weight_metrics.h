#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "scheduling/learning/weight_learner.h"
#include "telemetry/metrics.h"

namespace llmd::routing {

/// Shows what a WeightLearner does on the metrics page: the learned weights, what they and the configured ones earn,
/// how often they were given up, and whether they serve at all now. Nothing is on the page before there is a learner.
/// Thread-safe.
class LearnedWeightMetrics {
 public:
  /// `metrics` must outlive it, and collects no more once it is gone.
  explicit LearnedWeightMetrics(MetricsRegistry& metrics);
  /// The learner from now on; null: none, and the weights of the last one read 0.
  void watch(std::shared_ptr<scheduling::WeightLearner> learner);

 private:
  struct Series {
    std::vector<Gauge*> weights;  // one a scorer
    Gauge* control_reward = nullptr;
    Gauge* learned_reward = nullptr;
    Gauge* frozen = nullptr;
    std::array<Gauge*, scheduling::SwitchbackGuard::kStates> states{};
    Gauge* difference = nullptr;
    Counter* fallbacks = nullptr;
    Counter* pauses = nullptr;
  };
  /// What the counters have of this learner.
  struct Told {
    std::uint64_t fallbacks = 0;
    std::uint64_t pauses = 0;
  };
  [[nodiscard]] Series make(const scheduling::WeightLearner::Subject& subject);
  void refresh();

  MetricsRegistry& metrics_;
  std::mutex mutex_;  // guards all below; never held while series are made, as refresh() runs under the registry's lock
  std::shared_ptr<scheduling::WeightLearner> learner_;
  Series series_;
  Told told_;
};

}  // namespace llmd::routing
