#include "routing/learned_weight_metrics.h"

#include <algorithm>
#include <utility>

#include "scheduling/learning/weight_learner.h"

namespace llmd::routing {

LearnedWeightMetrics::LearnedWeightMetrics(MetricsRegistry& metrics) : metrics_{metrics} {
  metrics_.on_collect([this] { refresh(); });
}

void LearnedWeightMetrics::watch(std::shared_ptr<scheduling::WeightLearner> learner) {
  {
    const std::scoped_lock lock{mutex_};
    if (learner == learner_) return;
  }
  std::vector<Gauge*> weights;
  Gauge* control = nullptr;
  Gauge* learned = nullptr;
  Gauge* frozen = nullptr;
  Counter* fallbacks = nullptr;
  if (learner != nullptr) {
    const auto& subject = learner->subject();
    for (const auto& scorer : subject.scorers)
      weights.push_back(&metrics_.gauge("llmd_gateway_learned_weight", "Weight of a scorer as learned",
                                        {{"profile", subject.profile}, {"scorer", scorer.name}}));
    const auto reward = [&](const char* arm) {
      return &metrics_.gauge("llmd_gateway_learned_weight_reward", "Mean worth of outcomes of late, 0 to 1, by weights",
                             {{"arm", arm}});
    };
    control = reward("control");
    learned = reward("learned");
    frozen = &metrics_.gauge("llmd_gateway_learned_weights_frozen", "1 while learned weights stay as they are");
    fallbacks = &metrics_.counter("llmd_gateway_learned_weight_fallbacks_total",
                                  "Times that learned weights did worse and were given up");
  }
  const std::scoped_lock lock{mutex_};
  for (Gauge* gauge : weights_) gauge->set(0);
  learner_ = std::move(learner);
  weights_ = std::move(weights);
  control_reward_ = control;
  learned_reward_ = learned;
  frozen_ = frozen;
  fallbacks_ = fallbacks;
  fallbacks_told_ = learner_ == nullptr ? 0 : learner_->status().fallbacks;
}

void LearnedWeightMetrics::refresh() {
  const std::scoped_lock lock{mutex_};
  if (learner_ == nullptr) return;
  const auto status = learner_->status();
  for (std::size_t s = 0; s < weights_.size(); ++s) weights_[s]->set(static_cast<double>(status.weights[s]));
  control_reward_->set(status.control_reward);
  learned_reward_->set(status.learned_reward);
  frozen_->set(status.frozen ? 1 : 0);
  if (status.fallbacks > fallbacks_told_) fallbacks_->add(static_cast<double>(status.fallbacks - fallbacks_told_));
  fallbacks_told_ = status.fallbacks;  // less after a reset
}

}  // namespace llmd::routing
