#include "eppmetrics/flow_metrics.h"

#include <utility>

#include "eppmetrics/bounded_label.h"
#include "eppmetrics/flow_families.h"

namespace llmd::eppmetrics {

FlowMetrics::Series::Series(MetricsRegistry& metrics, const std::string& pool, const Whose& whose)
    : metrics_{metrics},
      pool_{pool},
      fairness_id_{whose.fairness_id},
      model_{whose.model},
      target_model_{whose.target_model.empty() ? whose.model : whose.target_model},
      priority_{std::to_string(whose.priority)},
      size_{gauge_of(metrics, kQueueSize, labels())},
      bytes_{gauge_of(metrics, kQueueBytes, labels())},
      taken_in_{taken_in("NotYetFinalized")} {}

std::array<std::string_view, 5> FlowMetrics::Series::labels() const {
  return {fairness_id_, priority_, pool_, model_, target_model_};
}

Histogram& FlowMetrics::Series::taken_in(std::string_view outcome) const {
  return histogram_of(metrics_, kEnqueueDuration, std::array<std::string_view, 3>{fairness_id_, priority_, outcome});
}

void FlowMetrics::Series::entered(std::uint64_t bytes, Duration took) {
  taken_in_.observe(to_seconds(took));
  size_.add(1);
  bytes_.add(static_cast<double>(bytes));
}

void FlowMetrics::Series::left(std::uint64_t bytes, flow::Outcome outcome, Duration waited) {
  size_.add(-1);
  bytes_.add(-static_cast<double>(bytes));
  Histogram*& histogram = waited_[static_cast<std::size_t>(outcome)];
  if (histogram == nullptr) {
    const std::array<std::string_view, 6> values{fairness_id_, priority_, flow::outcome_name(outcome),
                                                 pool_,        model_,    target_model_};
    histogram = &histogram_of(metrics_, kQueueDuration, values);
  }
  histogram->observe(to_seconds(waited));
  count(outcome);
}

void FlowMetrics::Series::refused(flow::Outcome outcome, Duration took) {
  taken_in(flow::outcome_name(outcome)).observe(to_seconds(took));
  count(outcome);
}

void FlowMetrics::Series::count(flow::Outcome outcome) {
  Counter*& counter = counted_[static_cast<std::size_t>(outcome)];
  if (counter == nullptr) {
    counter = &counter_of(metrics_, kFlowTotal,
                          std::array<std::string_view, 3>{flow::outcome_name(outcome), priority_, pool_});
  }
  counter->add();
}

FlowMetrics::FlowMetrics(MetricsRegistry& metrics, std::string pool_name)
    : metrics_{metrics}, pool_{std::move(pool_name)}, cycle_{histogram_of(metrics, kCycleDuration)} {}

FlowMetrics::Series& FlowMetrics::series_of(const Whose& whose) {
  key_.assign(whose.fairness_id).append(1, '\0').append(whose.model).append(1, '\0');
  key_.append(whose.target_model).append(1, '\0');
  key_ += std::to_string(whose.priority);
  if (const auto found = series_.find(key_); found != series_.end()) return found->second;
  if (series_.size() < kWhoseMax) return series_.try_emplace(key_, metrics_, pool_, whose).first->second;
  const Whose others{.fairness_id = kOtherValue, .model = kOtherValue};
  return series_.try_emplace(std::string{kOtherValue}, metrics_, pool_, others).first->second;
}

void FlowMetrics::evicting(std::int32_t priority, std::size_t requests) {
  counter_of(metrics_, kRevocationsIssued, std::array<std::string_view, 2>{std::to_string(priority), pool_})
      .add(static_cast<double>(requests));
}

void FlowMetrics::reclaiming(const flow::EvictionPlanner::Reclaim& reclaim) {
  gauge_of(metrics_, kReclaimTarget, pool()).set(reclaim.target);
  gauge_of(metrics_, kPendingReclaim, pool()).set(reclaim.pending);
}

void FlowMetrics::evicted(Duration took) {
  revocations("confirmed").add();
  histogram_of(metrics_, kRevocationTime, pool()).observe(to_seconds(took));
}

void FlowMetrics::evictions_given_up(std::uint64_t total) {
  if (total == given_up_) return;
  revocations("timed_out").add(static_cast<double>(total - given_up_));
  given_up_ = total;
}

Counter& FlowMetrics::revocations(std::string_view outcome) {
  return counter_of(metrics_, kRevocations, std::array<std::string_view, 2>{outcome, pool_});
}

void FlowMetrics::refresh(const flow::FlowController& controller, const flow::GateReading& reading,
                          const std::string& detector) {
  const auto saturation = [&](std::string_view stage, float value) {
    gauge_of(metrics_, kPoolSaturation, std::array<std::string_view, 2>{pool_, stage}).set(value);
  };
  saturation("effective", reading.saturation);
  if (reading.prefill >= 0) saturation("prefill", reading.prefill);
  if (reading.decode >= 0) saturation("decode", reading.decode);
  gauge_of(metrics_, kStaleEndpoints, std::array<std::string_view, 1>{detector}).set(reading.stale);
  const auto share = [](std::uint64_t used, std::uint64_t of) {
    return static_cast<double>(used) / static_cast<double>(of);
  };
  for (const auto& band : controller.bands()) {
    const std::string priority = std::to_string(band->priority());
    const std::array<std::string_view, 2> values{priority, pool_};
    gauge_of(metrics_, kBandRequests, values).set(share(band->waiting(), band->rules().requests_max));
    gauge_of(metrics_, kBandBytes, values).set(share(band->bytes(), band->rules().bytes_max));
  }
  const flow::FlowRules& rules = controller.rules();
  if (rules.requests_max > 0)
    gauge_of(metrics_, kAllRequests, pool()).set(share(controller.waiting(), rules.requests_max));
  if (rules.bytes_max > 0) gauge_of(metrics_, kAllBytes, pool()).set(share(controller.bytes(), rules.bytes_max));
}

}  // namespace llmd::eppmetrics
