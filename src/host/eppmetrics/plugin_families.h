#pragma once

#include <array>
#include <string_view>

#include "eppmetrics/buckets.h"
#include "eppmetrics/family.h"
#include "eppmetrics/request_families.h"

namespace llmd::eppmetrics {

// Of plugins, where they are configured.

inline constexpr std::array<std::string_view, 2> kPluginNameLabels{"plugin_name", "plugin_type"};
inline constexpr std::array<std::string_view, 2> kPluginTypeLabels{"plugin_type", "plugin_name"};
inline constexpr std::array<std::string_view, 4> kDisaggLabels{"plugin_name", "plugin_type", "model_name",
                                                               "decision_type"};
inline constexpr auto kOldDisaggLabels = same_labels(std::array<std::string_view, 2>{"model_name", "decision_type"});

inline constexpr Family kDisaggDecisions =
    counter("llm_d_epp_disagg_decision_total", "[ALPHA] Decisions by the stages that have endpoints of their own",
            kDisaggLabels, alias("llm_d_inference_scheduler_disagg_decision_total", kOldDisaggLabels));
inline constexpr Family kPdDecisions =
    counter("llm_d_epp_pd_decision_total", "[ALPHA] The same, of pd-profile-handler", kDisaggLabels,
            alias("llm_d_inference_scheduler_pd_decision_total", kOldDisaggLabels));
inline constexpr std::array kDisaggFamilies{&kDisaggDecisions, &kPdDecisions};

inline constexpr Family kPrefixSize =
    gauge("llm_d_epp_prefix_indexer_size", "[ALPHA] Blocks in the prefix index, counted once an endpoint",
          kPluginNameLabels, alias("inference_extension_prefix_indexer_size"));
inline constexpr Family kPrefixHitRatio =
    histogram("llm_d_epp_prefix_indexer_hit_ratio",
              "[ALPHA] Share of a prompt that the chosen endpoint was thought to have cached", kRatioBuckets,
              kPluginNameLabels, alias("inference_extension_prefix_indexer_hit_ratio"));
inline constexpr Family kPrefixHitBytes =
    histogram("llm_d_epp_prefix_indexer_hit_bytes", "[ALPHA] The same in bytes, four to a token", kHitBytesBuckets,
              kPluginNameLabels, alias("inference_extension_prefix_indexer_hit_bytes"));
inline constexpr std::array kPrefixFamilies{&kPrefixSize, &kPrefixHitRatio, &kPrefixHitBytes};

inline constexpr std::array<std::string_view, 3> kEncoderQueryLabels{"plugin_type", "plugin_name", "modality"};
inline constexpr std::array<std::string_view, 4> kEncoderHitLabels{"plugin_type", "plugin_name", "pod", "modality"};
inline constexpr Family kEncoderQueries =
    counter("llm_d_epp_encoder_cache_queries_total", "[ALPHA] Media items that were looked up", kEncoderQueryLabels);
inline constexpr Family kEncoderHits =
    of_endpoints(counter("llm_d_epp_encoder_cache_hits_total",
                         "[ALPHA] Media items that the endpoint was thought to have encoded", kEncoderHitLabels));
inline constexpr Family kEncoderHitRatio =
    histogram("llm_d_epp_encoder_cache_hit_ratio", "[ALPHA] Share of a request's media items found at one endpoint",
              kRatioBuckets, kPluginTypeLabels);
inline constexpr std::array kEncoderFamilies{&kEncoderQueries, &kEncoderHits, &kEncoderHitRatio};

inline constexpr std::array<std::string_view, 4> kPredictionLabels{"plugin_name", "plugin_type", "model_name",
                                                                   "target_model_name"};
inline constexpr std::array<std::string_view, 5> kPredictionTypeLabels{"plugin_name", "plugin_type", "model_name",
                                                                       "target_model_name", "type"};
inline constexpr auto kOldTypeLabels =
    same_labels(std::array<std::string_view, 3>{"model_name", "target_model_name", "type"});
inline constexpr Family kPredictedTtft = histogram(
    "llm_d_epp_request_predicted_ttft_seconds", "[ALPHA] Time to first token as it was predicted", kDurationBuckets,
    kPredictionLabels, alias("inference_objective_request_predicted_ttft_seconds", kOldModelLabels));
inline constexpr Family kTtftPredictionDuration = histogram(
    "llm_d_epp_request_ttft_prediction_duration_seconds", "[ALPHA] Time that predictions took", kPredictionBuckets,
    kPredictionLabels, alias("inference_objective_request_ttft_prediction_duration_seconds", kOldModelLabels));
inline constexpr Family kPredictedTpot =
    histogram("llm_d_epp_request_predicted_tpot_seconds", "[ALPHA] Time per output token as it was predicted",
              kPredictedTpotBuckets, kPredictionLabels,
              alias("inference_objective_request_predicted_tpot_seconds", kOldModelLabels));
inline constexpr Family kTpotPredictionDuration = histogram(
    "llm_d_epp_request_tpot_prediction_duration_seconds",
    "[ALPHA] Time that predictions took, which are made with those of the first token", kPredictionBuckets,
    kPredictionLabels, alias("inference_objective_request_tpot_prediction_duration_seconds", kOldModelLabels));
inline constexpr Family kRequestMetric =
    gauge("llm_d_epp_inference_request_metric", "[ALPHA] The last request's times, what was predicted and promised",
          kPredictionTypeLabels, alias("inference_objective_inference_request_metric", kOldTypeLabels));
inline constexpr Family kSloViolations =
    counter("llm_d_epp_request_slo_violation_total", "[ALPHA] Answers that were slower than their client asked for",
            kPredictionTypeLabels, alias("inference_objective_request_slo_violation_total", kOldTypeLabels));
// These two have no other name: what llm-d shows instead has other buckets.
inline constexpr Family kSeenTtft =
    histogram("inference_objective_request_ttft_seconds", "[ALPHA] Old form of llm_d_epp_request_ttft_seconds",
              kDurationBuckets, kModelLabels);
inline constexpr Family kSeenTpot =
    histogram("inference_objective_request_tpot_seconds",
              "[ALPHA] Old form of llm_d_epp_request_streaming_tpot_seconds", kPredictedTpotBuckets, kModelLabels);
inline constexpr std::array kPredictionFamilies{
    &kPredictedTtft, &kTtftPredictionDuration, &kPredictedTpot, &kTpotPredictionDuration,
    &kRequestMetric, &kSloViolations,          &kSeenTtft,      &kSeenTpot};

inline constexpr std::array<std::string_view, 5> kInflightLabels{"endpoint_name", "namespace", "producer_name",
                                                                 "fairness_id", "priority"};
inline constexpr Family kInflightRequests =
    of_endpoints(gauge("llm_d_epp_inflight_requests",
                       "[ALPHA] Requests that were sent to the endpoint and have not ended", kInflightLabels));
inline constexpr Family kInflightTokens = of_endpoints(
    gauge("llm_d_epp_inflight_tokens",
          "[ALPHA] Their tokens: those of prompts that were not cached, and of answers if they are estimated",
          kInflightLabels));
inline constexpr std::array kInflightFamilies{&kInflightRequests, &kInflightTokens};

inline constexpr Family kKvAdmissions =
    counter("llm_d_epp_kv_cache_index_admissions_total", "[ALPHA] Blocks that endpoints told they hold", {},
            alias("kvcache_index_admissions_total"));
inline constexpr Family kKvEvictions =
    counter("llm_d_epp_kv_cache_index_evictions_total", "[ALPHA] Blocks that endpoints told they no longer hold", {},
            alias("kvcache_index_evictions_total"));
inline constexpr Family kKvLookups =
    counter("llm_d_epp_kv_cache_index_lookup_requests_total", "[ALPHA] Prompts looked up", {},
            alias("kvcache_index_lookup_requests_total"));
inline constexpr Family kKvHits =
    counter("llm_d_epp_kv_cache_index_lookup_hits_total", "[ALPHA] Leading blocks found at the endpoint with most", {},
            alias("kvcache_index_lookup_hits_total"));
inline constexpr Family kKvMaxHits =
    counter("llm_d_epp_kv_cache_index_max_pod_hit_count_total", "[ALPHA] The longest run of blocks at one endpoint", {},
            alias("kvcache_index_max_pod_hit_count_total"));
inline constexpr Family kKvLookupLatency =
    histogram("llm_d_epp_kv_cache_index_lookup_latency_seconds", "[ALPHA] Time of a look-up", kLookupBuckets, {},
              alias("kvcache_index_lookup_latency_seconds"));
inline constexpr Family kKvSuppressed = counter("llm_d_epp_kv_cache_events_dedup_removed_hashes_suppressed_total",
                                                "[ALPHA] Removed blocks of which the endpoint holds another copy", {},
                                                alias("kvcache_kvevents_dedup_removed_hashes_suppressed_total"));
inline constexpr Family kKvForwarded = counter("llm_d_epp_kv_cache_events_dedup_removed_hashes_forwarded_total",
                                               "[ALPHA] Removed blocks of which it holds no other", {},
                                               alias("kvcache_kvevents_dedup_removed_hashes_forwarded_total"));
inline constexpr std::array kKvFamilies{&kKvAdmissions, &kKvEvictions,     &kKvLookups,    &kKvHits,
                                        &kKvMaxHits,    &kKvLookupLatency, &kKvSuppressed, &kKvForwarded};

inline constexpr std::array<std::string_view, 3> kNoMatchLabels{"plugin_type", "plugin_name", "selector"};
inline constexpr std::array<std::string_view, 4> kGatingLabels{"plugin_type", "plugin_name", "mode", "revision"};
inline constexpr Family kRolloutNoMatch =
    counter("llm_d_epp_disaggregatedset_strict_header_no_match_total",
            "[ALPHA] Requests whose header named a revision that no endpoint has", kNoMatchLabels);
inline constexpr Family kRolloutShare = gauge("llm_d_epp_disaggregatedset_revision_gating_share",
                                              "[ALPHA] Share of the requests that a revision gets", kGatingLabels);
inline constexpr std::array kRolloutFamilies{&kRolloutNoMatch, &kRolloutShare};

}  // namespace llmd::eppmetrics
