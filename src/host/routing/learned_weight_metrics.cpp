#include "routing/learned_weight_metrics.h"

#include <string>
#include <utility>

namespace llmd::routing {

using scheduling::SwitchbackGuard;

LearnedWeightMetrics::LearnedWeightMetrics(MetricsRegistry& metrics) : metrics_{metrics} {
  metrics_.on_collect([this] { refresh(); });
}

void LearnedWeightMetrics::watch(std::shared_ptr<scheduling::WeightLearner> learner) {
  {
    const std::scoped_lock lock{mutex_};
    if (learner == learner_) return;
  }
  Series made = learner == nullptr ? Series{} : make(learner->subject());
  const std::scoped_lock lock{mutex_};
  for (Gauge* gauge : series_.weights) gauge->set(0);
  if (series_.frozen != nullptr) {
    for (Gauge* gauge : series_.states) gauge->set(0);
    series_.difference->set(0);
    series_.frozen->set(0);
  }
  learner_ = std::move(learner);
  series_ = std::move(made);
  told_ = {};
  if (learner_ == nullptr) return;
  const auto status = learner_->status();
  told_ = {.fallbacks = status.fallbacks, .pauses = status.pauses};
}

LearnedWeightMetrics::Series LearnedWeightMetrics::make(const scheduling::WeightLearner::Subject& subject) {
  Series made;
  for (const auto& scorer : subject.scorers)
    made.weights.push_back(&metrics_.gauge("llmd_gateway_learned_weight", "Weight of a scorer as learned",
                                           {{"profile", subject.profile}, {"scorer", scorer.name}}));
  const auto reward = [&](const char* arm) {
    return &metrics_.gauge("llmd_gateway_learned_weight_reward", "Mean worth of outcomes of late, 0 to 1, by weights",
                           {{"arm", arm}});
  };
  made.control_reward = reward("control");
  made.learned_reward = reward("learned");
  made.frozen = &metrics_.gauge("llmd_gateway_learned_weights_frozen", "1 while learned weights stay as they are");
  for (std::size_t s = 0; s < made.states.size(); ++s) {
    const auto name = scheduling::state_name(static_cast<SwitchbackGuard::State>(s));
    made.states[s] = &metrics_.gauge("llmd_gateway_learned_weights_state", "1 for what is served now, and why",
                                     {{"state", std::string{name}}});
  }
  made.difference = &metrics_.gauge("llmd_gateway_learned_weights_difference",
                                    "Worth of requests in blocks with learned weights, less that in blocks without");
  made.fallbacks = &metrics_.counter("llmd_gateway_learned_weight_fallbacks_total",
                                     "Times that learned weights did worse and were given up");
  made.pauses = &metrics_.counter("llmd_gateway_learned_weights_pauses_total",
                                  "Times that learning paused, as the whole fleet earned less");
  return made;
}

void LearnedWeightMetrics::refresh() {
  const std::scoped_lock lock{mutex_};
  if (learner_ == nullptr) return;
  const auto status = learner_->status();
  for (std::size_t s = 0; s < series_.weights.size(); ++s)
    series_.weights[s]->set(static_cast<double>(status.weights[s]));
  series_.control_reward->set(status.control_reward);
  series_.learned_reward->set(status.learned_reward);
  series_.frozen->set(status.frozen ? 1 : 0);
  for (std::size_t s = 0; s < series_.states.size(); ++s)
    series_.states[s]->set(static_cast<SwitchbackGuard::State>(s) == status.state && !status.frozen ? 1 : 0);
  series_.difference->set(status.difference.mean);
  const auto tell = [](Counter& counter, std::uint64_t now, std::uint64_t& told) {
    if (now > told) counter.add(static_cast<double>(now - told));
    told = now;  // less after a reset
  };
  tell(*series_.fallbacks, status.fallbacks, told_.fallbacks);
  tell(*series_.pauses, status.pauses, told_.pauses);
}

}  // namespace llmd::routing
