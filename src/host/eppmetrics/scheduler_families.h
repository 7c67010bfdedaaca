#pragma once

#include <array>
#include <string_view>

#include "eppmetrics/buckets.h"
#include "eppmetrics/family.h"

namespace llmd::eppmetrics {

// Of decisions, and of this process.

inline constexpr std::array<std::string_view, 5> kAttemptLabels{"status", "target_model_name", "endpoint_name",
                                                                "namespace", "port"};
inline constexpr std::array<LabelName, 5> kOldAttemptLabels{{{"status", "status"},
                                                             {"target_model_name", "target_model_name"},
                                                             {"endpoint_name", "pod_name"},
                                                             {"namespace", "namespace"},
                                                             {"port", "port"}}};
inline constexpr std::array<std::string_view, 3> kPluginLabels{"extension_point", "plugin_type", "plugin_name"};
inline constexpr auto kOldPluginLabels = same_labels(kPluginLabels);
inline constexpr std::array<std::string_view, 4> kViolationLabels{"extension_point", "plugin_type", "plugin_name",
                                                                  "access"};
inline constexpr std::array<std::string_view, 2> kInfoLabels{"commit", "build_ref"};
inline constexpr auto kOldInfoLabels = same_labels(kInfoLabels);
inline constexpr std::array<std::string_view, 3> kRewriteLabels{"model_rewrite_name", "model_name", "target_model"};
inline constexpr auto kOldRewriteLabels = same_labels(kRewriteLabels);
inline constexpr std::array<std::string_view, 1> kPollLabels{"source_type"};
inline constexpr auto kOldPollLabels = same_labels(kPollLabels);
inline constexpr std::array<std::string_view, 2> kExtractLabels{"source_type", "extractor_type"};
inline constexpr auto kOldExtractLabels = same_labels(kExtractLabels);
inline constexpr std::array<std::string_view, 1> kCodeLabels{"code"};

inline constexpr Family kSchedulerDuration =
    histogram("llm_d_epp_scheduler_e2e_duration_seconds", "[ALPHA] Time that a decision takes", kDecisionBuckets, {},
              alias("inference_extension_scheduler_e2e_duration_seconds"));
inline constexpr Family kSchedulerAttempts =
    of_endpoints(counter("llm_d_epp_scheduler_attempts_total", "[ALPHA] Decisions, by what they said", kAttemptLabels,
                         alias("inference_extension_scheduler_attempts_total", kOldAttemptLabels)));
inline constexpr Family kRequestProcessing = histogram(
    "llm_d_epp_request_processing_duration_seconds",
    "[ALPHA] From a request's arrival until it is known where it goes, with what it waits", kRequestProcessingBuckets);
inline constexpr Family kResponseProcessing = histogram(
    "llm_d_epp_response_processing_duration_seconds",
    "[ALPHA] Time spent on a streamed answer; of others, from their headers to their end", kResponseProcessingBuckets);
inline constexpr Family kPluginDuration =
    histogram("llm_d_epp_plugin_duration_seconds", "[ALPHA] Time of one call of a plugin", kDecisionBuckets,
              kPluginLabels, alias("inference_extension_plugin_duration_seconds", kOldPluginLabels));
inline constexpr Family kScopeViolations =
    counter("llm_d_epp_plugin_data_scope_violations_total",
            "[ALPHA] Times that a plugin reached for data that it does not declare; none can here", kViolationLabels);
inline constexpr Family kInfo = gauge("llm_d_epp_info", "[ALPHA] 1, with what was built", kInfoLabels,
                                      alias("inference_extension_info", kOldInfoLabels));
inline constexpr Family kModelRewrites =
    counter("llm_d_epp_model_rewrite_decisions_total", "[ALPHA] Requests whose model was replaced, by which rule",
            kRewriteLabels, alias("inference_extension_model_rewrite_decisions_total", kOldRewriteLabels));
inline constexpr Family kPollErrors =
    counter("llm_d_epp_datalayer_poll_errors_total", "[ALPHA] Looks at a source of endpoint data that failed",
            kPollLabels, alias("llm_d_inference_scheduler_datalayer_poll_errors_total", kOldPollLabels));
inline constexpr Family kExtractErrors =
    counter("llm_d_epp_datalayer_extract_errors_total", "[ALPHA] Answers of a source that could not be read",
            kExtractLabels, alias("llm_d_inference_scheduler_datalayer_extract_errors_total", kOldExtractLabels));

inline constexpr std::array kSchedulerFamilies{&kSchedulerDuration,
                                               &kSchedulerAttempts,
                                               &kRequestProcessing,
                                               &kResponseProcessing,
                                               &kPluginDuration,
                                               &kScopeViolations,
                                               &kInfo,
                                               &kModelRewrites,
                                               &kPollErrors,
                                               &kExtractErrors};

// With --enable-grpc-stream-metrics.

inline constexpr Family kStreamsInflight =
    gauge("llm_d_epp_extproc_streams_inflight", "[ALPHA] ext_proc streams that are open");
inline constexpr Family kStreamDuration = histogram("llm_d_epp_extproc_stream_duration_seconds",
                                                    "[ALPHA] For how long an ext_proc stream was open", kStreamBuckets);
inline constexpr Family kStreams =
    counter("llm_d_epp_extproc_streams_total", "[ALPHA] ext_proc streams that ended, by gRPC's code", kCodeLabels);

inline constexpr std::array kStreamFamilies{&kStreamsInflight, &kStreamDuration, &kStreams};

}  // namespace llmd::eppmetrics
