#pragma once

#include <array>
#include <string_view>

#include "eppmetrics/family.h"

namespace llmd::eppmetrics {

// Of the pool's endpoints.

inline constexpr std::array<std::string_view, 1> kPoolLabels{"name"};
inline constexpr auto kOldPoolLabels = same_labels(kPoolLabels);
inline constexpr std::array<std::string_view, 2> kPoolEndpointLabels{"name", "model_server_endpoint"};
inline constexpr std::array<LabelName, 2> kOldPoolEndpointLabels{
    {{"name", "name"}, {"model_server_endpoint", "model_server_pod"}}};

inline constexpr Family kAverageKv =
    gauge("llm_d_epp_average_kv_cache_utilization", "[ALPHA] Mean share of KV memory in use over the ready endpoints",
          kPoolLabels, alias("inference_pool_average_kv_cache_utilization", kOldPoolLabels));
inline constexpr Family kAverageQueue =
    gauge("llm_d_epp_average_queue_size", "[ALPHA] Mean number of requests that wait at a ready endpoint", kPoolLabels,
          alias("inference_pool_average_queue_size", kOldPoolLabels));
inline constexpr Family kAverageRunning =
    gauge("llm_d_epp_average_running_requests", "[ALPHA] Mean number of requests that run at a ready endpoint",
          kPoolLabels, alias("inference_pool_average_running_requests", kOldPoolLabels));
inline constexpr Family kStdDevKv =
    gauge("llm_d_epp_std_dev_kv_cache_utilization", "[ALPHA] Standard deviation over the ready endpoints", kPoolLabels);
inline constexpr Family kStdDevQueue =
    gauge("llm_d_epp_std_dev_queue_size", "[ALPHA] Standard deviation over the ready endpoints", kPoolLabels);
inline constexpr Family kStdDevRunning =
    gauge("llm_d_epp_std_dev_running_requests", "[ALPHA] Standard deviation over the ready endpoints", kPoolLabels);
inline constexpr Family kReadyEndpoints =
    gauge("llm_d_epp_ready_endpoints", "[ALPHA] Endpoints that may be sent requests and whose metrics are not old",
          kPoolLabels, alias("inference_pool_ready_pods", kOldPoolLabels));
inline constexpr Family kEndpointQueue =
    of_endpoints(gauge("llm_d_epp_per_endpoint_queue_size", "[ALPHA] Requests that wait at the endpoint",
                       kPoolEndpointLabels, alias("inference_pool_per_pod_queue_size", kOldPoolEndpointLabels)));

inline constexpr std::array kPoolFamilies{&kAverageKv,   &kAverageQueue,  &kAverageRunning, &kStdDevKv,
                                          &kStdDevQueue, &kStdDevRunning, &kReadyEndpoints, &kEndpointQueue};

}  // namespace llmd::eppmetrics
