#include "routing/flow_metrics.h"

#include <array>
#include <string_view>

namespace llmd::routing {
namespace {

constexpr std::array kWaitBounds{.0001, .0005, .001, .005, .01, .025, .05,  .1,
                                 .25,   .5,    1.0,  2.5,  5.0, 10.0, 30.0, 60.0};
constexpr std::array kCycleBounds{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1};
constexpr const char* kPool = "epp";  // llm-d's name of a pool that is none of Kubernetes'

LabelSet whose_labels(const FlowMetrics::Whose& whose) {
  return {{"fairness_id", whose.fairness_id},
          {"priority", std::to_string(whose.priority)},
          {"inference_pool", kPool},
          {"model_name", whose.model},
          {"target_model_name", whose.model}};
}

}  // namespace

FlowMetrics::FlowMetrics(MetricsRegistry& metrics)
    : metrics_{metrics},
      cycle_{metrics.histogram("llm_d_epp_flow_control_dispatch_cycle_duration_seconds",
                               "Time of one look at who may go, with all that it dispatches", kCycleBounds)} {}

void FlowMetrics::entered(const Whose& whose) {
  metrics_.gauge("llm_d_epp_flow_control_queue_size", "Requests that wait", whose_labels(whose)).add(1);
  metrics_.gauge("llm_d_epp_flow_control_queue_bytes", "Bytes of their bodies", whose_labels(whose))
      .add(static_cast<double>(whose.bytes));
}

void FlowMetrics::left(const Whose& whose, flow::Outcome outcome, Duration waited) {
  LabelSet labels = whose_labels(whose);
  metrics_.gauge("llm_d_epp_flow_control_queue_size", "Requests that wait", labels).add(-1);
  metrics_.gauge("llm_d_epp_flow_control_queue_bytes", "Bytes of their bodies", labels)
      .add(-static_cast<double>(whose.bytes));
  labels.emplace(labels.begin() + 2, "outcome", std::string{flow::outcome_name(outcome)});
  metrics_
      .histogram("llm_d_epp_flow_control_request_queue_duration_seconds", "Time that requests waited", kWaitBounds,
                 std::move(labels))
      .observe(to_seconds(waited));
}

void FlowMetrics::counted(std::int32_t priority, flow::Outcome outcome) {
  metrics_
      .counter("llm_d_epp_flow_control_requests_total", "Requests by how their stay in flow control ended",
               {{"outcome", std::string{flow::outcome_name(outcome)}},
                {"priority", std::to_string(priority)},
                {"inference_pool", kPool}})
      .add();
}

void FlowMetrics::evicting(std::int32_t priority, std::size_t requests) {
  metrics_
      .counter("llm_d_epp_flow_control_revocations_issued_total", "Requests in flight that were cut for waiting ones",
               {{"inference_pool", kPool}, {"priority", std::to_string(priority)}})
      .add(static_cast<double>(requests));
}

void FlowMetrics::enqueued(const Whose& whose, flow::Outcome outcome, Duration took) {
  const bool waits = outcome == flow::Outcome::kDispatched;  // llm-d's word for what is not decided yet
  metrics_
      .histogram("llm_d_epp_flow_control_request_enqueue_duration_seconds", "Time to take a request in", kCycleBounds,
                 {{"fairness_id", whose.fairness_id},
                  {"priority", std::to_string(whose.priority)},
                  {"outcome", waits ? "NotYetFinalized" : std::string{flow::outcome_name(outcome)}}})
      .observe(to_seconds(took));
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
