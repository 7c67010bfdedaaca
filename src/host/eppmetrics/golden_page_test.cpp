// The page against llm-d's own tables: name, type, labels and buckets of every family, its old names too. The rows are
// written down from llm-d-router's sources (pkg/epp/metrics and the plugins' metrics.go), not from ours.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "eppmetrics/epp_metrics.h"
#include "eppmetrics/flow_metrics.h"
#include "eppmetrics/program_metrics.h"

namespace llmd::eppmetrics {
namespace {

struct Row {
  const char* name;
  char type;           // C, G, H
  const char* labels;  // in any order
  const char* buckets = "";
  const char* feature = "";
};

constexpr const char* kRequest = "model_name target_model_name fairness_id priority";
constexpr const char* kModel = "model_name target_model_name";
constexpr const char* kDuration =
    "0.005 0.025 0.05 0.1 0.2 0.4 0.6 0.8 1 1.25 1.5 2 3 4 5 6 8 10 15 20 30 45 60 120 180 240 300 360 480 600 900 "
    "1200 1800 2700 3600";
constexpr const char* kTtft = "0.005 0.025 0.05 0.1 0.2 0.4 0.6 0.8 1 1.25 1.5 2 3 4 5 6 8 10 15 20 30 45 60 120";
constexpr const char* kTpot =
    "0.0005 0.00205 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.125 0.15 0.2 0.3 0.4 0.5 0.6 0.8 1 2";
constexpr const char* kPredictedTpotBounds =
    "0.0005 0.00205 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.125 0.15 0.2 0.3 0.4 0.5 0.6 0.8 1 1.5 2 3 4.5 6 12 18 24 30 "
    "36 48 60 90 120 180 270 360";
constexpr const char* kItl = "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.15 0.2 0.3 0.5 0.75 1 2";
constexpr const char* kNtpot = "0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10";
constexpr const char* kRequestBytes =
    "64 128 256 512 1024 2048 4096 8192 16384 32768 65536 131072 262144 524288 1048576 2097152 4194304 8388608 "
    "16777216 33554432 67108864 134217728 268435456 536870912 1073741824";
constexpr const char* kResponseBytes = "1 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32778 65536";
constexpr const char* kTokens =
    "1 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32778 65536 131072 262144 524288 1048576";
constexpr const char* kOutput = "1 8 16 32 64 128 256 512 1024 2048 4096 8192";
constexpr const char* kShort = "0.0001 0.0002 0.0005 0.001 0.002 0.005 0.01 0.02 0.05 0.1";
constexpr const char* kProcessing = "0.0005 0.001 0.002 0.005 0.01 0.015 0.025 0.04 0.06 0.1 0.25 0.5 1 2.5 5 10";
constexpr const char* kAnswering = "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5";
constexpr const char* kPrediction = "0.0001 0.0005 0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5";
constexpr const char* kRatio = "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1";
constexpr const char* kHitBytes = "0 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536";
constexpr const char* kQueue = "0.0001 0.0005 0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60";
constexpr const char* kDefault = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10";
constexpr const char* kStream = "0.001 0.005 0.01 0.05 0.1 0.5 1 5 10 30 60 120 300 600";
constexpr const char* kPlugin = "extension_point plugin_type plugin_name";
constexpr const char* kPredicted = "plugin_name plugin_type model_name target_model_name";
constexpr const char* kWaiting = "fairness_id priority inference_pool model_name target_model_name";
constexpr const char* kWaited = "fairness_id priority outcome inference_pool model_name target_model_name";

constexpr Row kRows[]{
    {"llm_d_epp_request_total", 'C', kRequest},
    {"inference_objective_request_total", 'C', "model_name target_model_name priority"},
    {"llm_d_epp_request_error_total", 'C', "model_name target_model_name fairness_id priority error_code"},
    {"inference_objective_request_error_total", 'C', "model_name target_model_name error_code"},
    {"llm_d_epp_request_duration_seconds", 'H', kRequest, kDuration},
    {"inference_objective_request_duration_seconds", 'H', kModel, kDuration},
    {"llm_d_epp_request_size_bytes", 'H', kRequest, kRequestBytes},
    {"inference_objective_request_sizes", 'H', kModel, kRequestBytes},
    {"llm_d_epp_response_size_bytes", 'H', kRequest, kResponseBytes},
    {"inference_objective_response_sizes", 'H', kModel, kResponseBytes},
    {"llm_d_epp_request_input_tokens", 'H', kRequest, kTokens},
    {"inference_objective_input_tokens", 'H', kModel, kTokens},
    {"llm_d_epp_request_output_tokens", 'H', kRequest, kOutput},
    {"inference_objective_output_tokens", 'H', kModel, kOutput},
    {"llm_d_epp_request_cached_tokens", 'H', kRequest, kTokens},
    {"inference_objective_prompt_cached_tokens", 'H', kModel, kTokens},
    {"llm_d_epp_request_running", 'G', kRequest},
    {"inference_objective_running_requests", 'G', "model_name"},
    {"llm_d_epp_request_ntpot_seconds", 'H', kRequest, kNtpot},
    {"inference_objective_normalized_time_per_output_token_seconds", 'H', kModel, kNtpot},
    {"llm_d_epp_request_ttft_seconds", 'H', "model_name target_model_name fairness_id priority streaming", kTtft},
    {"llm_d_epp_request_streaming_tpot_seconds", 'H', kRequest, kTpot},
    {"llm_d_epp_request_streaming_itl_seconds", 'H', kRequest, kItl},

    {"llm_d_epp_average_kv_cache_utilization", 'G', "name"},
    {"llm_d_epp_average_queue_size", 'G', "name"},
    {"llm_d_epp_average_running_requests", 'G', "name"},
    {"inference_pool_average_kv_cache_utilization", 'G', "name"},
    {"inference_pool_average_queue_size", 'G', "name"},
    {"inference_pool_average_running_requests", 'G', "name"},
    {"llm_d_epp_std_dev_kv_cache_utilization", 'G', "name"},
    {"llm_d_epp_std_dev_queue_size", 'G', "name"},
    {"llm_d_epp_std_dev_running_requests", 'G', "name"},
    {"llm_d_epp_ready_endpoints", 'G', "name"},
    {"inference_pool_ready_pods", 'G', "name"},
    {"llm_d_epp_per_endpoint_queue_size", 'G', "name model_server_endpoint"},
    {"inference_pool_per_pod_queue_size", 'G', "name model_server_pod"},

    {"llm_d_epp_scheduler_e2e_duration_seconds", 'H', "", kShort},
    {"inference_extension_scheduler_e2e_duration_seconds", 'H', "", kShort},
    {"llm_d_epp_scheduler_attempts_total", 'C', "status target_model_name endpoint_name namespace port"},
    {"inference_extension_scheduler_attempts_total", 'C', "status target_model_name pod_name namespace port"},
    {"llm_d_epp_request_processing_duration_seconds", 'H', "", kProcessing},
    {"llm_d_epp_response_processing_duration_seconds", 'H', "", kAnswering},
    {"llm_d_epp_plugin_duration_seconds", 'H', kPlugin, kShort},
    {"inference_extension_plugin_duration_seconds", 'H', kPlugin, kShort},
    {"llm_d_epp_plugin_data_scope_violations_total", 'C', ""},  // never counts here
    {"llm_d_epp_info", 'G', "commit build_ref"},
    {"inference_extension_info", 'G', "commit build_ref"},
    {"llm_d_epp_model_rewrite_decisions_total", 'C', "model_rewrite_name model_name target_model"},
    {"inference_extension_model_rewrite_decisions_total", 'C', "model_rewrite_name model_name target_model"},
    {"llm_d_epp_datalayer_poll_errors_total", 'C', "source_type"},
    {"llm_d_inference_scheduler_datalayer_poll_errors_total", 'C', "source_type"},
    {"llm_d_epp_datalayer_extract_errors_total", 'C', "source_type extractor_type"},
    {"llm_d_inference_scheduler_datalayer_extract_errors_total", 'C', "source_type extractor_type"},

    {"llm_d_epp_extproc_streams_inflight", 'G', "", "", "streams"},
    {"llm_d_epp_extproc_stream_duration_seconds", 'H', "", kStream, "streams"},
    {"llm_d_epp_extproc_streams_total", 'C', "code", "", "streams"},

    {"llm_d_epp_prefix_indexer_size", 'G', "plugin_name plugin_type", "", "prefix"},
    {"inference_extension_prefix_indexer_size", 'G', "", "", "prefix"},
    {"llm_d_epp_prefix_indexer_hit_ratio", 'H', "plugin_name plugin_type", kRatio, "prefix"},
    {"inference_extension_prefix_indexer_hit_ratio", 'H', "", kRatio, "prefix"},
    {"llm_d_epp_prefix_indexer_hit_bytes", 'H', "plugin_name plugin_type", kHitBytes, "prefix"},
    {"inference_extension_prefix_indexer_hit_bytes", 'H', "", kHitBytes, "prefix"},

    {"llm_d_epp_encoder_cache_queries_total", 'C', "plugin_type plugin_name modality", "", "encoder"},
    {"llm_d_epp_encoder_cache_hits_total", 'C', "plugin_type plugin_name pod modality", "", "encoder"},
    {"llm_d_epp_encoder_cache_hit_ratio", 'H', "plugin_type plugin_name", kRatio, "encoder"},

    {"llm_d_epp_request_predicted_ttft_seconds", 'H', kPredicted, kDuration, "predictor"},
    {"inference_objective_request_predicted_ttft_seconds", 'H', kModel, kDuration, "predictor"},
    {"llm_d_epp_request_ttft_prediction_duration_seconds", 'H', kPredicted, kPrediction, "predictor"},
    {"inference_objective_request_ttft_prediction_duration_seconds", 'H', kModel, kPrediction, "predictor"},
    {"llm_d_epp_request_predicted_tpot_seconds", 'H', kPredicted, kPredictedTpotBounds, "predictor"},
    {"inference_objective_request_predicted_tpot_seconds", 'H', kModel, kPredictedTpotBounds, "predictor"},
    {"llm_d_epp_request_tpot_prediction_duration_seconds", 'H', kPredicted, kPrediction, "predictor"},
    {"inference_objective_request_tpot_prediction_duration_seconds", 'H', kModel, kPrediction, "predictor"},
    {"llm_d_epp_inference_request_metric", 'G', "plugin_name plugin_type model_name target_model_name type", "",
     "predictor"},
    {"inference_objective_inference_request_metric", 'G', "model_name target_model_name type", "", "predictor"},
    {"llm_d_epp_request_slo_violation_total", 'C', "plugin_name plugin_type model_name target_model_name type", "",
     "predictor"},
    {"inference_objective_request_slo_violation_total", 'C', "model_name target_model_name type", "", "predictor"},
    {"inference_objective_request_ttft_seconds", 'H', kModel, kDuration, "predictor"},
    {"inference_objective_request_tpot_seconds", 'H', kModel, kPredictedTpotBounds, "predictor"},

    {"llm_d_epp_disagg_decision_total", 'C', "plugin_name plugin_type model_name decision_type", "", "disagg"},
    {"llm_d_inference_scheduler_disagg_decision_total", 'C', "model_name decision_type", "", "disagg"},
    {"llm_d_epp_pd_decision_total", 'C', "plugin_name plugin_type model_name decision_type", "", "disagg"},
    {"llm_d_inference_scheduler_pd_decision_total", 'C', "model_name decision_type", "", "disagg"},

    {"llm_d_epp_inflight_requests", 'G', "endpoint_name namespace producer_name fairness_id priority", "", "inflight"},
    {"llm_d_epp_inflight_tokens", 'G', "endpoint_name namespace producer_name fairness_id priority", "", "inflight"},

    {"llm_d_epp_flow_control_request_queue_duration_seconds", 'H', kWaited, kQueue, "flow"},
    {"inference_extension_flow_control_request_queue_duration_seconds", 'H', kWaited, kQueue, "flow"},
    {"llm_d_epp_flow_control_dispatch_cycle_duration_seconds", 'H', "", kShort, "flow"},
    {"inference_extension_flow_control_dispatch_cycle_duration_seconds", 'H', "", kShort, "flow"},
    {"llm_d_epp_flow_control_request_enqueue_duration_seconds", 'H', "fairness_id priority outcome", kShort, "flow"},
    {"inference_extension_flow_control_request_enqueue_duration_seconds", 'H', "fairness_id priority outcome", kShort,
     "flow"},
    {"llm_d_epp_flow_control_queue_size", 'G', kWaiting, "", "flow"},
    {"inference_extension_flow_control_queue_size", 'G', kWaiting, "", "flow"},
    {"llm_d_epp_flow_control_queue_bytes", 'G', kWaiting, "", "flow"},
    {"inference_extension_flow_control_queue_bytes", 'G', kWaiting, "", "flow"},
    {"llm_d_epp_flow_control_pool_saturation", 'G', "inference_pool stage", "", "flow"},
    {"inference_extension_flow_control_pool_saturation", 'G', "inference_pool stage", "", "flow"},
    {"llm_d_epp_flow_control_stale_endpoints", 'G', "detector", "", "flow"},
    {"llm_d_epp_flow_control_capacity_utilization_requests", 'G', "priority inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_capacity_utilization_bytes", 'G', "priority inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_global_capacity_utilization_requests", 'G', "inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_global_capacity_utilization_bytes", 'G', "inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_requests_total", 'C', "outcome priority inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_revocations_issued_total", 'C', "priority inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_revocations_total", 'C', "outcome inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_reclaim_target", 'G', "inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_pending_reclaim", 'G', "inference_pool", "", "flow"},
    {"llm_d_epp_flow_control_revocation_confirmation_seconds", 'H', "inference_pool", kDefault, "flow"},

    {"llm_d_epp_program_aware_jains_fairness_index", 'G', "", "", "program"},
    {"llm_d_epp_program_aware_avg_wait_time_milliseconds", 'G', "program_id", "", "program"},
    {"llm_d_epp_program_aware_attained_service_tokens", 'G', "program_id", "", "program"},

    {"llm_d_epp_kv_cache_index_admissions_total", 'C', "", "", "kv"},
    {"kvcache_index_admissions_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_index_evictions_total", 'C', "", "", "kv"},
    {"kvcache_index_evictions_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_index_lookup_requests_total", 'C', "", "", "kv"},
    {"kvcache_index_lookup_requests_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_index_lookup_hits_total", 'C', "", "", "kv"},
    {"kvcache_index_lookup_hits_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_index_max_pod_hit_count_total", 'C', "", "", "kv"},
    {"kvcache_index_max_pod_hit_count_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_index_lookup_latency_seconds", 'H', "", kDefault, "kv"},
    {"kvcache_index_lookup_latency_seconds", 'H', "", kDefault, "kv"},
    {"llm_d_epp_kv_cache_events_dedup_removed_hashes_suppressed_total", 'C', "", "", "kv"},
    {"kvcache_kvevents_dedup_removed_hashes_suppressed_total", 'C', "", "", "kv"},
    {"llm_d_epp_kv_cache_events_dedup_removed_hashes_forwarded_total", 'C', "", "", "kv"},
    {"kvcache_kvevents_dedup_removed_hashes_forwarded_total", 'C', "", "", "kv"},

    {"llm_d_epp_disaggregatedset_strict_header_no_match_total", 'C', "plugin_type plugin_name selector", "", "rollout"},
    {"llm_d_epp_disaggregatedset_revision_gating_share", 'G', "plugin_type plugin_name mode revision", "", "rollout"},
};

char letter_of(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return 'C';
    case MetricType::kGauge: return 'G';
    case MetricType::kHistogram: return 'H';
  }
  return '?';
}

std::set<std::string> words(const std::string& text) {
  std::istringstream in{text};
  std::set<std::string> out;
  for (std::string word; in >> word;) out.insert(word);
  return out;
}

std::string bounds_of(const Histogram& histogram) {
  std::string out;
  for (const double bound : histogram.upper_bounds()) out += fmt::format("{}{}", out.empty() ? "" : " ", bound);
  return out;
}

Features all_features(const std::string& handler) {
  return {.flow_control = true,
          .program_aware = true,
          .stream_metrics = true,
          .kv_index = true,
          .disagg = PluginName{"pd", handler},
          .prefix = PluginName{"prefix", "approx-prefix-cache-producer"},
          .predictor = PluginName{"predictor", "predicted-latency-producer"},
          .encoder = PluginName{"media", "mm-embeddings-cache-producer"},
          .inflight = PluginName{"load", "inflight-load-producer"},
          .rollout = PluginName{"rollout", "disaggregatedset-rollout-screener"}};
}

const TimePoint kNow{std::chrono::hours{1}};

Decision dispatched() {
  Decision decision{.outcome = Decision::Outcome::kDispatch,
                    .decode = {},
                    .prefill = {},
                    .decode_fallbacks = {},
                    .encode = {},
                    .kv_source = {}};
  decision.decode = std::make_shared<Endpoint>(
      Endpoint{.name = "ns/pod-rank-1", .url = "http://10.0.0.1:8001", .models = {}, .labels = {}});
  decision.latency.known = true;
  return decision;
}

void use_requests(EppMetrics& epp) {
  const RequestLabels labels{.model = "m", .target_model = "t", .fairness_id = "f", .priority = 1};
  RequestFacts facts{.request_id = {}, .model = "t", .prefix = {.hashes = {1, 2}, .block_tokens = 64}};
  facts.slo_ttft_ms = facts.slo_tpot_ms = 1.0F;
  const Decision decision = dispatched();
  for (const bool streaming : {false, true}) {
    RequestMetrics request = epp.begin(labels, 100);
    epp.decided(labels,
                {.decision = decision, .facts = facts, .took = milliseconds{1}, .prediction_took = milliseconds{1}},
                request);
    request.first_token(milliseconds{50}, streaming);
    request.token(milliseconds{5});
    request.request_error("Internal");
    request.end({.duration = seconds{1},
                 .usage = {.prompt_tokens = 10, .completion_tokens = 5, .cached_tokens = 3},
                 .response_bytes = 200,
                 .streaming = streaming});
  }
}

void use_flow(MetricsRegistry& registry) {
  FlowMetrics flow{registry, "pool"};
  auto& series = flow.series_of({.fairness_id = "f", .model = "m", .priority = 1, .target_model = "t"});
  series.entered(10, milliseconds{1});
  series.left(10, flow::Outcome::kDispatched, milliseconds{1});
  flow.evicting(1, 2);
  flow.reclaiming({});
  flow.evicted(milliseconds{1});
  auto rules = flow::make_rules({});
  ASSERT_TRUE(rules);
  rules->requests_max = 10;
  rules->bytes_max = 1'000;
  flow::FlowController controller{*rules, 1};
  ASSERT_TRUE(controller.enqueue({.id = 1, .fairness_id = "f", .bytes = 10, .received = kNow}, kNow));
  flow.refresh(controller, {}, "utilization-detector");
  ProgramMetrics programs{registry};
  programs.dispatched("p", milliseconds{1}, kNow);
}

/// Makes a series of every family that can have one.
void use_all(MetricsRegistry& registry, EppMetrics& epp) {
  use_flow(registry);
  EndpointSnapshot snapshot{.version = 1, .taken_at = kNow, .endpoints = std::vector<EndpointState>(1)};
  snapshot.endpoints[0].endpoint = std::make_shared<Endpoint>(
      Endpoint{.name = "ns/pod-rank-0", .url = "http://10.0.0.1:8000", .models = {}, .labels = {}});
  epp.refresh(snapshot, kNow, 7);
  use_requests(epp);  // after it, as it takes what is idle off the page
  const std::vector<scheduling::TimedPlugin> plugins{{"Scorer", "queue-scorer", "queue"}};
  epp.plugin_times(plugins)->took(0, milliseconds{1});
  epp.model_rewritten("rule", "m", "t");
  epp.poll_failed("metrics-data-source");
  epp.extract_failed("metrics-data-source", "core-metrics-extractor");
  epp.media_looked_up("image", 2);
  epp.media_found("ns/pod-rank-0", "image", 1);
  epp.media_hit_ratio(0.5);
  epp.stream_opened();
  epp.stream_closed("OK", seconds{1});
  epp.kv_looked_up(3, milliseconds{1});
  epp.kv_admitted(1);
  epp.kv_evicted(1);
  epp.kv_removed(1, 1);
  epp.rollout_no_match("revision");
  epp.rollout_share("weighted", "v1", 0.5);
}

TEST(GoldenPage, HasEveryFamilyOfLlmDWithItsTypeLabelsAndBuckets) {
  std::set<std::string> with_series;
  for (const char* handler : {"disagg-profile-handler", "pd-profile-handler"}) {
    MetricsRegistry registry;
    EppMetrics epp{registry, {.pool_name = "pool", .features = all_features(handler)}};
    use_all(registry, epp);
    std::map<std::string, MetricsRegistry::Family> page;
    for (auto& family : registry.collect()) {
      ASSERT_FALSE(page.contains(family.name)) << family.name << " stands twice";
      page.emplace(family.name, std::move(family));
    }
    EXPECT_EQ(page.size(), std::size(kRows));
    for (const Row& row : kRows) {
      SCOPED_TRACE(row.name);
      ASSERT_TRUE(page.contains(row.name));
      const MetricsRegistry::Family& family = page.at(row.name);
      EXPECT_EQ(letter_of(family.type), row.type);
      EXPECT_TRUE(family.help.starts_with("[ALPHA] ")) << family.help;
      for (const auto& series : family.series) {
        with_series.insert(row.name);
        std::set<std::string> labels;
        for (const auto& [name, value] : series.labels) labels.insert(name);
        EXPECT_EQ(labels, words(row.labels));
        EXPECT_EQ(series.histogram == nullptr ? "" : bounds_of(*series.histogram), row.buckets);
      }
    }
  }
  for (const Row& row : kRows) {
    const bool never = std::string_view{row.name} == "llm_d_epp_plugin_data_scope_violations_total";
    EXPECT_EQ(with_series.contains(row.name), !never) << row.name << ": its labels are not tried";
  }
}

TEST(GoldenPage, HasEveryFamilyOfAnEnabledFeatureBeforeAnySample) {
  MetricsRegistry registry;
  const EppMetrics epp{registry, {.features = all_features("disagg-profile-handler")}};
  std::set<std::string> page;
  for (const auto& family : registry.collect()) page.insert(family.name);
  for (const Row& row : kRows) EXPECT_TRUE(page.contains(row.name)) << row.name;
}

TEST(GoldenPage, HasNothingOfFeaturesThatAreOff) {
  MetricsRegistry registry;
  EppMetrics epp{registry, {}};
  use_requests(epp);
  epp.media_looked_up("image", 2);
  epp.stream_opened();
  epp.kv_looked_up(3, milliseconds{1});
  epp.rollout_no_match("revision");
  std::set<std::string> page;
  for (const auto& family : registry.collect()) page.insert(family.name);
  for (const Row& row : kRows) EXPECT_EQ(page.contains(row.name), row.feature[0] == '\0') << row.name;
}

}  // namespace
}  // namespace llmd::eppmetrics
