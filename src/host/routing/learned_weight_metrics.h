#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "telemetry/metrics.h"

namespace llmd::scheduling {
class WeightLearner;
}

namespace llmd::routing {

/// Shows what a WeightLearner does on the metrics page: the learned weights, what they and the configured ones earn,
/// and how often they were given up. Nothing is on the page before there is a learner. Thread-safe.
class LearnedWeightMetrics {
 public:
  /// `metrics` must outlive it, and collects no more once it is gone.
  explicit LearnedWeightMetrics(MetricsRegistry& metrics);
  /// The learner from now on; null: none, and the weights of the last one read 0.
  void watch(std::shared_ptr<scheduling::WeightLearner> learner);

 private:
  void refresh();

  MetricsRegistry& metrics_;
  std::mutex mutex_;  // guards all below; never held while series are made, as refresh() runs under the registry's lock
  std::shared_ptr<scheduling::WeightLearner> learner_;
  std::vector<Gauge*> weights_;  // one a scorer
  Gauge* control_reward_ = nullptr;
  Gauge* learned_reward_ = nullptr;
  Gauge* frozen_ = nullptr;
  Counter* fallbacks_ = nullptr;
  std::uint64_t fallbacks_told_ = 0;  // of this learner
};

}  // namespace llmd::routing
