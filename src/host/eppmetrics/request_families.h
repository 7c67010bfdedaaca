#pragma once

#include <array>
#include <string_view>

#include "eppmetrics/buckets.h"
#include "eppmetrics/family.h"

namespace llmd::eppmetrics {

// Of requests, as clients see them.

inline constexpr std::array<std::string_view, 4> kRequestLabels{"model_name", "target_model_name", "fairness_id",
                                                                "priority"};
inline constexpr std::array<std::string_view, 5> kErrorLabels{"model_name", "target_model_name", "fairness_id",
                                                              "priority", "error_code"};
inline constexpr std::array<std::string_view, 5> kTtftLabels{"model_name", "target_model_name", "fairness_id",
                                                             "priority", "streaming"};

inline constexpr std::array<std::string_view, 2> kModelLabels{"model_name", "target_model_name"};
inline constexpr auto kOldModelLabels = same_labels(kModelLabels);
inline constexpr auto kOldTotalLabels =
    same_labels(std::array<std::string_view, 3>{"model_name", "target_model_name", "priority"});
inline constexpr auto kOldErrorLabels =
    same_labels(std::array<std::string_view, 3>{"model_name", "target_model_name", "error_code"});
inline constexpr auto kOldRunningLabels = same_labels(std::array<std::string_view, 1>{"model_name"});

inline constexpr Family kRequestTotal =
    counter("llm_d_epp_request_total", "[ALPHA] Requests that were sent on", kRequestLabels,
            alias("inference_objective_request_total", kOldTotalLabels));
inline constexpr Family kRequestErrorTotal =
    counter("llm_d_epp_request_error_total", "[ALPHA] Requests that went wrong, by why", kErrorLabels,
            alias("inference_objective_request_error_total", kOldErrorLabels));
inline constexpr Family kRequestDuration =
    histogram("llm_d_epp_request_duration_seconds", "[ALPHA] From a request's arrival to the end of its answer",
              kDurationBuckets, kRequestLabels, alias("inference_objective_request_duration_seconds", kOldModelLabels));
inline constexpr Family kRequestSize =
    histogram("llm_d_epp_request_size_bytes", "[ALPHA] Bytes of a request's body", kRequestBytesBuckets, kRequestLabels,
              alias("inference_objective_request_sizes", kOldModelLabels));
inline constexpr Family kResponseSize =
    histogram("llm_d_epp_response_size_bytes", "[ALPHA] Bytes of an answer's body", kResponseBytesBuckets,
              kRequestLabels, alias("inference_objective_response_sizes", kOldModelLabels));
inline constexpr Family kInputTokens =
    histogram("llm_d_epp_request_input_tokens", "[ALPHA] Tokens of a prompt, as the engine says", kInputTokensBuckets,
              kRequestLabels, alias("inference_objective_input_tokens", kOldModelLabels));
inline constexpr Family kOutputTokens =
    histogram("llm_d_epp_request_output_tokens", "[ALPHA] Tokens of an answer, as the engine says",
              kOutputTokensBuckets, kRequestLabels, alias("inference_objective_output_tokens", kOldModelLabels));
inline constexpr Family kCachedTokens =
    histogram("llm_d_epp_request_cached_tokens", "[ALPHA] Tokens of a prompt that the engine found cached, as it says",
              kInputTokensBuckets, kRequestLabels, alias("inference_objective_prompt_cached_tokens", kOldModelLabels));
inline constexpr Family kRequestRunning =
    gauge("llm_d_epp_request_running", "[ALPHA] Requests that were sent on and have not ended", kRequestLabels,
          alias("inference_objective_running_requests", kOldRunningLabels));
inline constexpr Family kNtpot = histogram(
    "llm_d_epp_request_ntpot_seconds", "[ALPHA] A request's duration by the tokens of its answer", kNtpotBuckets,
    kRequestLabels, alias("inference_objective_normalized_time_per_output_token_seconds", kOldModelLabels));
inline constexpr Family kTtft =
    histogram("llm_d_epp_request_ttft_seconds", "[ALPHA] From a request's arrival to the first byte of its answer",
              kTtftBuckets, kTtftLabels);
inline constexpr Family kTpot =
    histogram("llm_d_epp_request_streaming_tpot_seconds", "[ALPHA] Mean time between the tokens of a streamed answer",
              kTpotBuckets, kRequestLabels);
inline constexpr Family kItl =
    histogram("llm_d_epp_request_streaming_itl_seconds",
              "[ALPHA] Time between a chunk of a streamed answer and the next", kItlBuckets, kRequestLabels);

inline constexpr std::array kRequestFamilies{
    &kRequestTotal, &kRequestErrorTotal, &kRequestDuration, &kRequestSize, &kResponseSize, &kInputTokens,
    &kOutputTokens, &kCachedTokens,      &kRequestRunning,  &kNtpot,       &kTtft,         &kTpot,
    &kItl};

}  // namespace llmd::eppmetrics
