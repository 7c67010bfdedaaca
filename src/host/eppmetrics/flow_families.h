#pragma once

#include <array>
#include <string_view>

#include "eppmetrics/buckets.h"
#include "eppmetrics/family.h"

namespace llmd::eppmetrics {

// Of flow control.

inline constexpr std::array<std::string_view, 5> kFlowLabels{"fairness_id", "priority", "inference_pool", "model_name",
                                                             "target_model_name"};
inline constexpr auto kOldFlowLabels = same_labels(kFlowLabels);
inline constexpr std::array<std::string_view, 6> kFlowOutcomeLabels{
    "fairness_id", "priority", "outcome", "inference_pool", "model_name", "target_model_name"};
inline constexpr auto kOldFlowOutcomeLabels = same_labels(kFlowOutcomeLabels);
inline constexpr std::array<std::string_view, 3> kEnqueueLabels{"fairness_id", "priority", "outcome"};
inline constexpr auto kOldEnqueueLabels = same_labels(kEnqueueLabels);
inline constexpr std::array<std::string_view, 2> kSaturationLabels{"inference_pool", "stage"};
inline constexpr auto kOldSaturationLabels = same_labels(kSaturationLabels);
inline constexpr std::array<std::string_view, 1> kDetectorLabels{"detector"};
inline constexpr std::array<std::string_view, 2> kBandLabels{"priority", "inference_pool"};
inline constexpr std::array<std::string_view, 1> kFlowPoolLabels{"inference_pool"};
inline constexpr std::array<std::string_view, 3> kFlowTotalLabels{"outcome", "priority", "inference_pool"};
inline constexpr std::array<std::string_view, 2> kRevocationLabels{"outcome", "inference_pool"};
inline constexpr std::array<std::string_view, 1> kProgramLabels{"program_id"};

inline constexpr Family kQueueDuration =
    histogram("llm_d_epp_flow_control_request_queue_duration_seconds", "[ALPHA] Time that requests waited",
              kQueueBuckets, kFlowOutcomeLabels,
              alias("inference_extension_flow_control_request_queue_duration_seconds", kOldFlowOutcomeLabels));
inline constexpr Family kCycleDuration =
    histogram("llm_d_epp_flow_control_dispatch_cycle_duration_seconds",
              "[ALPHA] Time of one look at who may go, with all that it dispatches", kDecisionBuckets, {},
              alias("inference_extension_flow_control_dispatch_cycle_duration_seconds"));
inline constexpr Family kEnqueueDuration = histogram(
    "llm_d_epp_flow_control_request_enqueue_duration_seconds", "[ALPHA] Time to take a request in", kDecisionBuckets,
    kEnqueueLabels, alias("inference_extension_flow_control_request_enqueue_duration_seconds", kOldEnqueueLabels));
inline constexpr Family kQueueSize =
    gauge("llm_d_epp_flow_control_queue_size", "[ALPHA] Requests that wait", kFlowLabels,
          alias("inference_extension_flow_control_queue_size", kOldFlowLabels));
inline constexpr Family kQueueBytes =
    gauge("llm_d_epp_flow_control_queue_bytes", "[ALPHA] Bytes of their bodies", kFlowLabels,
          alias("inference_extension_flow_control_queue_bytes", kOldFlowLabels));
inline constexpr Family kPoolSaturation =
    gauge("llm_d_epp_flow_control_pool_saturation", "[ALPHA] How full the endpoints are; 1 is full", kSaturationLabels,
          alias("inference_extension_flow_control_pool_saturation", kOldSaturationLabels));
inline constexpr Family kStaleEndpoints =
    gauge("llm_d_epp_flow_control_stale_endpoints",
          "[ALPHA] Endpoints judged by what was sent to them, as their metrics are too old", kDetectorLabels);
inline constexpr Family kBandRequests =
    gauge("llm_d_epp_flow_control_capacity_utilization_requests", "[ALPHA] Waiting by allowed requests", kBandLabels);
inline constexpr Family kBandBytes =
    gauge("llm_d_epp_flow_control_capacity_utilization_bytes", "[ALPHA] Waiting by allowed bytes", kBandLabels);
inline constexpr Family kAllRequests = gauge("llm_d_epp_flow_control_global_capacity_utilization_requests",
                                             "[ALPHA] The same over all bands", kFlowPoolLabels);
inline constexpr Family kAllBytes = gauge("llm_d_epp_flow_control_global_capacity_utilization_bytes",
                                          "[ALPHA] The same over all bands", kFlowPoolLabels);
inline constexpr Family kFlowTotal =
    counter("llm_d_epp_flow_control_requests_total", "[ALPHA] Requests by how their stay in flow control ended",
            kFlowTotalLabels);
inline constexpr Family kRevocationsIssued =
    counter("llm_d_epp_flow_control_revocations_issued_total",
            "[ALPHA] Requests in flight that were cut for waiting ones", kBandLabels);
inline constexpr Family kRevocations = counter("llm_d_epp_flow_control_revocations_total",
                                               "[ALPHA] Victims by whether they ended in time", kRevocationLabels);
inline constexpr Family kReclaimTarget =
    gauge("llm_d_epp_flow_control_reclaim_target", "[ALPHA] Saturation above the ceiling when requests were last cut",
          kFlowPoolLabels);
inline constexpr Family kPendingReclaim =
    gauge("llm_d_epp_flow_control_pending_reclaim",
          "[ALPHA] Saturation that cut requests held and that does not show yet", kFlowPoolLabels);
inline constexpr Family kRevocationTime =
    histogram("llm_d_epp_flow_control_revocation_confirmation_seconds", "[ALPHA] From choosing a victim to its end",
              kRevocationBuckets, kFlowPoolLabels);

inline constexpr std::array kFlowFamilies{
    &kQueueDuration,     &kCycleDuration, &kEnqueueDuration, &kQueueSize,      &kQueueBytes,    &kPoolSaturation,
    &kStaleEndpoints,    &kBandRequests,  &kBandBytes,       &kAllRequests,    &kAllBytes,      &kFlowTotal,
    &kRevocationsIssued, &kRevocations,   &kReclaimTarget,   &kPendingReclaim, &kRevocationTime};

// Of bands with program-aware-fairness.

inline constexpr Family kProgramEvenness = gauge("llm_d_epp_program_aware_jains_fairness_index",
                                                 "[ALPHA] How even the mean waits of programs are: 1 if all are alike");
inline constexpr Family kProgramWait =
    gauge("llm_d_epp_program_aware_avg_wait_time_milliseconds",
          "[ALPHA] Mean wait of a program's requests in flow control", kProgramLabels);
inline constexpr Family kProgramAttained = gauge("llm_d_epp_program_aware_attained_service_tokens",
                                                 "[ALPHA] Weighted tokens that a program got of late", kProgramLabels);

inline constexpr std::array kProgramFamilies{&kProgramEvenness, &kProgramWait, &kProgramAttained};

}  // namespace llmd::eppmetrics
