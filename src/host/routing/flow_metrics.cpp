#include "routing/flow_metrics.h"

#include <utility>

namespace llmd::routing {
namespace {

constexpr std::array kWaitBounds{.0001, .0005, .001, .005, .01, .025, .05,  .1,
                                 .25,   .5,    1.0,  2.5,  5.0, 10.0, 30.0, 60.0};
constexpr std::array kCycleBounds{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1};
constexpr const char* kPool = "epp";  // llm-d's name of a pool that is none of Kubernetes'

LabelSet whose_labels(const std::string& fairness_id, const std::string& priority, const std::string& model) {
  return {{"fairness_id", fairness_id},
          {"priority", priority},
          {"inference_pool", kPool},
          {"model_name", model},
          {"target_model_name", model}};
}

Histogram& taken_in(MetricsRegistry& metrics, const std::string& fairness_id, const std::string& priority,
                    std::string_view outcome) {
  return metrics.histogram("llm_d_epp_flow_control_request_enqueue_duration_seconds", "Time to take a request in",
                           kCycleBounds,
                           {{"fairness_id", fairness_id}, {"priority", priority}, {"outcome", std::string{outcome}}});
}

}  // namespace

FlowMetrics::Series::Series(MetricsRegistry& metrics, const Whose& whose)
    : metrics_{metrics},
      fairness_id_{whose.fairness_id},
      model_{whose.model},
      priority_{std::to_string(whose.priority)},
      size_{metrics.gauge("llm_d_epp_flow_control_queue_size", "Requests that wait",
                          whose_labels(fairness_id_, priority_, model_))},
      bytes_{metrics.gauge("llm_d_epp_flow_control_queue_bytes", "Bytes of their bodies",
                           whose_labels(fairness_id_, priority_, model_))},
      taken_in_{taken_in(metrics, fairness_id_, priority_, "NotYetFinalized")} {}

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
    LabelSet labels = whose_labels(fairness_id_, priority_, model_);
    labels.emplace(labels.begin() + 2, "outcome", std::string{flow::outcome_name(outcome)});
    histogram = &metrics_.histogram("llm_d_epp_flow_control_request_queue_duration_seconds",
                                    "Time that requests waited", kWaitBounds, std::move(labels));
  }
  histogram->observe(to_seconds(waited));
  count(outcome);
}

void FlowMetrics::Series::refused(flow::Outcome outcome, Duration took) {
  taken_in(metrics_, fairness_id_, priority_, flow::outcome_name(outcome)).observe(to_seconds(took));
  count(outcome);
}

void FlowMetrics::Series::count(flow::Outcome outcome) {
  Counter*& counter = counted_[static_cast<std::size_t>(outcome)];
  if (counter == nullptr) {
    counter = &metrics_.counter(
        "llm_d_epp_flow_control_requests_total", "Requests by how their stay in flow control ended",
        {{"outcome", std::string{flow::outcome_name(outcome)}}, {"priority", priority_}, {"inference_pool", kPool}});
  }
  counter->add();
}

FlowMetrics::FlowMetrics(MetricsRegistry& metrics)
    : metrics_{metrics},
      cycle_{metrics.histogram("llm_d_epp_flow_control_dispatch_cycle_duration_seconds",
                               "Time of one look at who may go, with all that it dispatches", kCycleBounds)} {}

FlowMetrics::Series& FlowMetrics::series_of(const Whose& whose) {
  key_.assign(whose.fairness_id).append(1, '\0').append(whose.model).append(1, '\0');
  key_ += std::to_string(whose.priority);
  if (const auto found = series_.find(key_); found != series_.end()) return found->second;
  if (series_.size() < kWhoseMax) return series_.try_emplace(key_, metrics_, whose).first->second;
  constexpr std::string_view kOther = "other";
  return series_.try_emplace(std::string{kOther}, metrics_, Whose{.fairness_id = kOther, .model = kOther})
      .first->second;
}

void FlowMetrics::evicting(std::int32_t priority, std::size_t requests) {
  metrics_
      .counter("llm_d_epp_flow_control_revocations_issued_total", "Requests in flight that were cut for waiting ones",
               {{"inference_pool", kPool}, {"priority", std::to_string(priority)}})
      .add(static_cast<double>(requests));
}

void FlowMetrics::reclaiming(const flow::EvictionPlanner::Reclaim& reclaim) {
  const LabelSet labels{{"inference_pool", kPool}};
  metrics_
      .gauge("llm_d_epp_flow_control_reclaim_target", "Saturation above the ceiling when requests were last cut",
             labels)
      .set(reclaim.target);
  metrics_
      .gauge("llm_d_epp_flow_control_pending_reclaim", "Saturation that cut requests held and that does not show yet",
             labels)
      .set(reclaim.pending);
}

void FlowMetrics::evicted(Duration took) {
  revocations("confirmed").add();
  metrics_
      .histogram("llm_d_epp_flow_control_revocation_confirmation_seconds", "From choosing a victim to its end",
                 kWaitBounds, {{"inference_pool", kPool}})
      .observe(to_seconds(took));
}

void FlowMetrics::evictions_given_up(std::uint64_t total) {
  if (total == given_up_) return;
  revocations("timed_out").add(static_cast<double>(total - given_up_));
  given_up_ = total;
}

Counter& FlowMetrics::revocations(const char* outcome) {
  return metrics_.counter("llm_d_epp_flow_control_revocations_total", "Victims by whether they ended in time",
                          {{"outcome", outcome}, {"inference_pool", kPool}});
}

void FlowMetrics::refresh(const flow::FlowController& controller, const flow::GateReading& reading,
                          const std::string& detector) {
  const auto saturation = [&](const char* stage, float value) {
    metrics_
        .gauge("llm_d_epp_flow_control_pool_saturation", "How full the endpoints are; 1 is full",
               {{"inference_pool", kPool}, {"stage", stage}})
        .set(value);
  };
  saturation("effective", reading.saturation);
  if (reading.prefill >= 0) saturation("prefill", reading.prefill);
  if (reading.decode >= 0) saturation("decode", reading.decode);
  metrics_
      .gauge("llm_d_epp_flow_control_stale_endpoints",
             "Endpoints judged by what was sent to them, as their metrics are too old", {{"detector", detector}})
      .set(reading.stale);
  const auto share = [](std::uint64_t used, std::uint64_t of) {
    return static_cast<double>(used) / static_cast<double>(of);
  };
  for (const auto& band : controller.bands()) {
    const LabelSet labels{{"priority", std::to_string(band->priority())}, {"inference_pool", kPool}};
    metrics_.gauge("llm_d_epp_flow_control_capacity_utilization_requests", "Waiting by allowed requests", labels)
        .set(share(band->waiting(), band->rules().requests_max));
    metrics_.gauge("llm_d_epp_flow_control_capacity_utilization_bytes", "Waiting by allowed bytes", labels)
        .set(share(band->bytes(), band->rules().bytes_max));
  }
  const flow::FlowRules& rules = controller.rules();
  if (rules.requests_max > 0) {
    metrics_
        .gauge("llm_d_epp_flow_control_global_capacity_utilization_requests", "The same over all bands",
               {{"inference_pool", kPool}})
        .set(share(controller.waiting(), rules.requests_max));
  }
  if (rules.bytes_max > 0) {
    metrics_
        .gauge("llm_d_epp_flow_control_global_capacity_utilization_bytes", "The same over all bands",
               {{"inference_pool", kPool}})
        .set(share(controller.bytes(), rules.bytes_max));
  }
}

}  // namespace llmd::routing
