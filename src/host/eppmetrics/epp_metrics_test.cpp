#include "eppmetrics/epp_metrics.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmd::eppmetrics {
namespace {

using Labels = std::map<std::string, std::string>;
const TimePoint kNow{std::chrono::hours{1}};

/// A page, read by name and some of the labels.
struct Page {
  explicit Page(Features features = {}) : epp{registry, {.pool_name = "pool", .features = std::move(features)}} {}

  std::vector<MetricsRegistry::Series> series(const std::string& name, const Labels& labels = {}) {
    std::vector<MetricsRegistry::Series> out;
    for (const auto& family : registry.collect()) {
      if (family.name != name) continue;
      for (const auto& each : family.series) {
        const Labels own{each.labels.begin(), each.labels.end()};
        bool fits = true;
        for (const auto& [label, value] : labels) fits = fits && own.contains(label) && own.at(label) == value;
        if (fits) out.push_back(each);
      }
    }
    return out;
  }
  /// Of counters and gauges; of histograms the sum. -1: there is none.
  double value(const std::string& name, const Labels& labels = {}) {
    double sum = 0;
    const auto found = series(name, labels);
    for (const auto& each : found) {
      if (each.histogram != nullptr) {
        sum += each.histogram->view().sum;
      } else {
        sum += each.counter != nullptr ? each.counter->value() : each.gauge->value();
      }
    }
    return found.empty() ? -1 : sum;
  }

  MetricsRegistry registry;
  EppMetrics epp;
};

constexpr RequestLabels kLabels{.model = "m", .target_model = "t", .fairness_id = "f", .priority = -2};
const Labels kAll{{"model_name", "m"}, {"target_model_name", "t"}, {"fairness_id", "f"}, {"priority", "-2"}};

Decision to(const std::string& name, const std::string& url = {}) {
  Decision decision;
  decision.outcome = Decision::Outcome::kDispatch;
  decision.decode = std::make_shared<Endpoint>(Endpoint{.name = name, .url = url, .models = {}, .labels = {}});
  return decision;
}

TEST(EppMetrics, TellsOfARequestFromItsStartToItsEnd) {
  Page page;
  RequestMetrics request = page.epp.begin(kLabels, 1'000);
  EXPECT_EQ(page.value("llm_d_epp_request_total", kAll), 1);
  EXPECT_EQ(page.value("llm_d_epp_request_size_bytes", kAll), 1'000);
  EXPECT_EQ(page.value("llm_d_epp_request_running", kAll), 1);
  EXPECT_EQ(page.value("inference_objective_running_requests", {{"model_name", "m"}}), 1);
  request.first_token(milliseconds{200}, true);
  request.token(milliseconds{30});
  request.end({.duration = seconds{1},
               .usage = {.prompt_tokens = 50, .completion_tokens = 5, .cached_tokens = 0},
               .response_bytes = 300,
               .streaming = true});
  EXPECT_EQ(page.value("llm_d_epp_request_running", kAll), 0);
  EXPECT_EQ(page.value("llm_d_epp_request_duration_seconds", kAll), 1);
  EXPECT_EQ(page.value("llm_d_epp_request_input_tokens", kAll), 50);
  EXPECT_EQ(page.value("llm_d_epp_request_output_tokens", kAll), 5);
  EXPECT_EQ(page.value("llm_d_epp_request_cached_tokens", kAll), 0);  // told, and none
  EXPECT_EQ(page.value("llm_d_epp_response_size_bytes", kAll), 300);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_ntpot_seconds", kAll), 0.2);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_streaming_tpot_seconds", kAll), 0.2);  // (1 - 0.2) / (5 - 1)
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_streaming_itl_seconds", kAll), 0.03);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_ttft_seconds", {{"streaming", "true"}}), 0.2);
  EXPECT_EQ(page.value("llm_d_epp_request_ttft_seconds", {{"streaming", "false"}}), -1);
}

TEST(EppMetrics, TellsNothingOfTokensThatTheEngineDidNotReport) {
  Page page;
  page.epp.begin(kLabels, 1).end({.duration = seconds{1}});
  EXPECT_EQ(page.value("llm_d_epp_request_duration_seconds"), 1);
  for (const char* name : {"request_input_tokens", "request_output_tokens", "request_cached_tokens",
                           "request_ntpot_seconds", "request_ttft_seconds", "request_streaming_tpot_seconds"})
    EXPECT_EQ(page.value(fmt::format("llm_d_epp_{}", name)), -1) << name;
}

TEST(EppMetrics, LetsGoOfRequestsThatNeverEnd) {
  Page page{{.inflight = PluginName{"load", "inflight-load-producer"}}};
  {
    RequestMetrics request = page.epp.begin(kLabels, 1);
    const Decision decision = to("ns/a");
    const RequestFacts facts;
    page.epp.decided(kLabels, {.decision = decision, .facts = facts, .load_tokens = 7}, request);
    RequestMetrics moved = std::move(request);
    request = page.epp.begin(kLabels, 1);
    EXPECT_EQ(page.value("llm_d_epp_request_running"), 2);
    EXPECT_EQ(page.value("llm_d_epp_inflight_tokens"), 7);
    moved = std::move(request);
    EXPECT_EQ(page.value("llm_d_epp_request_running"), 1);
    EXPECT_EQ(page.value("llm_d_epp_inflight_requests"), 0);
  }
  EXPECT_EQ(page.value("llm_d_epp_request_running"), 0);
  EXPECT_EQ(page.value("llm_d_epp_request_duration_seconds"), -1);
}

TEST(EppMetrics, CountsErrorsOfRequestsThatWereNeverSent) {
  Page page;
  page.epp.request(kLabels).request_error("BadRequest");
  page.epp.request(kLabels).request_error("");
  EXPECT_EQ(page.value("llm_d_epp_request_error_total", {{"error_code", "BadRequest"}, {"fairness_id", "f"}}), 1);
  EXPECT_EQ(page.value("inference_objective_request_error_total", {{"error_code", "BadRequest"}}), 1);
  EXPECT_EQ(page.value("llm_d_epp_request_total"), -1);
  // Without a model nothing runs, as llm-d has it.
  const RequestMetrics unnamed = page.epp.begin({}, 1);
  EXPECT_EQ(page.value("llm_d_epp_request_running"), -1);
}

TEST(EppMetrics, AddsUpTenantsUnderTheOldNames) {
  Page page;
  for (const char* tenant : {"x", "y"}) {
    for (const int priority : {0, 1})
      page.epp.begin({.model = "m", .target_model = "t", .fairness_id = tenant, .priority = priority}, 10)
          .end({.duration = seconds{1}, .usage = {.prompt_tokens = 3}});
  }
  EXPECT_EQ(page.series("llm_d_epp_request_total").size(), 4U);
  EXPECT_EQ(page.series("inference_objective_request_total").size(), 2U);
  EXPECT_EQ(page.value("inference_objective_request_total", {{"priority", "1"}}), 2);
  EXPECT_EQ(page.series("inference_objective_input_tokens").size(), 1U);
  EXPECT_EQ(page.value("inference_objective_input_tokens"), 12);
}

TEST(EppMetrics, BoundsTheModelsAndTenantsThatClientsMakeUp) {
  Page page;
  page.epp.pin_model("served");
  for (std::size_t i = 0; i < EppMetrics::kModelsMax + 10; ++i)
    (void)page.epp.begin({.model = fmt::format("model-{}", i)}, 1);
  EXPECT_EQ(page.series("llm_d_epp_request_total").size(), EppMetrics::kModelsMax + 1);
  EXPECT_EQ(page.value("llm_d_epp_request_total", {{"model_name", "other"}}), 10);
  (void)page.epp.begin({.model = "served"}, 1);
  EXPECT_EQ(page.value("llm_d_epp_request_total", {{"model_name", "served"}}), 1);
  Page tenants;
  for (std::size_t i = 0; i < EppMetrics::kFairnessIdsMax + 10; ++i)
    (void)tenants.epp.begin({.model = "m", .fairness_id = fmt::format("{}", i)}, 1);
  EXPECT_EQ(tenants.value("llm_d_epp_request_total", {{"fairness_id", "other"}}), 10);
}

TEST(EppMetrics, BoundsTheSeriesThatLabelsMakeTogether) {
  Page page;
  for (int priority = 0; priority < 2'100; ++priority)
    page.epp.begin({.model = "m", .fairness_id = "f", .priority = priority}, 1).request_error("Internal");
  EXPECT_EQ(page.series("llm_d_epp_request_total").size(), EppMetrics::kRequestSeriesMax + 1);
  EXPECT_EQ(page.value("llm_d_epp_request_total", {{"priority", "other"}}), 100);
  EXPECT_EQ(page.value("llm_d_epp_request_total"), 2'100);
}

TEST(EppMetrics, NamesThePodOfADecision) {
  Page page;
  const RequestFacts facts;
  RequestMetrics request = page.epp.request(kLabels);
  for (const auto& [name, url] : std::vector<std::pair<std::string, std::string>>{
           {"ns/pod-a-rank-1", "http://10.0.0.1:8001"}, {"ns/pod-b-rank-x", "http://[::1]:8000/"}, {"plain", ""}}) {
    const Decision decision = to(name, url);
    page.epp.decided(kLabels, {.decision = decision, .facts = facts, .took = milliseconds{2}}, request);
  }
  page.epp.decided(kLabels, {.decision = Decision{}, .facts = facts}, request);
  const std::string name = "llm_d_epp_scheduler_attempts_total";
  EXPECT_EQ(page.value(name, {{"status", "success"},
                              {"target_model_name", "t"},
                              {"endpoint_name", "pod-a"},
                              {"namespace", "ns"},
                              {"port", "8001"}}),
            1);
  EXPECT_EQ(page.value(name, {{"endpoint_name", "pod-b-rank-x"}, {"port", "8000"}}), 1);
  EXPECT_EQ(page.value(name, {{"endpoint_name", "plain"}, {"namespace", ""}, {"port", ""}}), 1);
  EXPECT_EQ(page.value(name, {{"status", "failure"}, {"endpoint_name", ""}}), 1);
  EXPECT_EQ(page.value("inference_extension_scheduler_attempts_total", {{"pod_name", "pod-a"}}), 1);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_scheduler_e2e_duration_seconds"), 0.006);
}

TEST(EppMetrics, CountsTheStagesAndThePrefixOfADecision) {
  Page page{{.disagg = PluginName{"pd", "disagg-profile-handler"},
             .prefix = PluginName{"prefix", "approx-prefix-cache-producer"}}};
  RequestFacts facts;
  facts.prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64};
  Decision decision = to("ns/a");
  decision.cached_tokens_expected = 64;
  RequestMetrics request = page.epp.request(kLabels);
  page.epp.decided(kLabels, {.decision = decision, .facts = facts}, request);
  decision.prefill = to("ns/p").decode;
  page.epp.decided(kLabels, {.decision = decision, .facts = facts}, request);
  decision.encode.push_back(to("ns/e").decode);
  page.epp.decided({}, {.decision = decision, .facts = facts}, request);
  const std::string name = "llm_d_epp_disagg_decision_total";
  EXPECT_EQ(page.value(name, {{"decision_type", "decode-only"}, {"model_name", "t"}, {"plugin_name", "pd"}}), 1);
  EXPECT_EQ(page.value(name, {{"decision_type", "prefill-decode"}, {"model_name", "t"}}), 1);
  EXPECT_EQ(page.value(name, {{"decision_type", "encode-prefill-decode"}, {"model_name", "unknown"}}), 1);
  EXPECT_EQ(page.value("llm_d_epp_pd_decision_total"), -1);
  EXPECT_EQ(page.value("llm_d_epp_prefix_indexer_hit_bytes"), 3 * 256);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_prefix_indexer_hit_ratio"), 0.75);
}

TEST(EppMetrics, HoldsWhatIsPredictedAgainstWhatCame) {
  Page page{{.predictor = PluginName{"p", "predicted-latency-producer"}}};
  RequestFacts facts;
  facts.slo_ttft_ms = 100.0F;
  facts.slo_tpot_ms = 500.0F;
  Decision decision = to("ns/a");
  decision.latency.known = true;
  decision.latency.ttft_ms = 150;
  decision.latency.tpot_ms = 125;
  RequestMetrics request = page.epp.begin(kLabels, 1);
  page.epp.decided(kLabels, {.decision = decision, .facts = facts, .prediction_took = milliseconds{3}}, request);
  request.first_token(milliseconds{200}, true);
  request.end({.duration = milliseconds{600}, .usage = {.completion_tokens = 5}, .streaming = true});
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_predicted_ttft_seconds"), 0.15);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_predicted_tpot_seconds"), 0.125);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_request_ttft_prediction_duration_seconds"), 0.003);
  EXPECT_DOUBLE_EQ(page.value("inference_objective_request_ttft_seconds"), 0.2);
  EXPECT_DOUBLE_EQ(page.value("inference_objective_request_tpot_seconds"), 0.1);
  EXPECT_EQ(page.value("llm_d_epp_request_slo_violation_total", {{"type", "ttft"}}), 1);
  EXPECT_EQ(page.value("llm_d_epp_request_slo_violation_total", {{"type", "tpot"}}), 0);
  EXPECT_DOUBLE_EQ(page.value("inference_objective_inference_request_metric", {{"type", "predicted_ttft"}}), 0.15);
  EXPECT_EQ(page.value("llm_d_epp_inference_request_metric", {{"type", "ttft_slo_violation"}}), 1);
}

TEST(EppMetrics, ShowsWhatIsInFlightUntilItEnds) {
  Page page{{.inflight = PluginName{"load", "inflight-load-producer"}}};
  const RequestFacts facts;
  Decision decision = to("ns/d");
  decision.prefill = to("ns/p").decode;
  RequestMetrics request = page.epp.begin(kLabels, 1);
  page.epp.decided(kLabels, {.decision = decision, .facts = facts, .load_tokens = 100, .output_load_tokens = 20},
                   request);
  const Labels decode{{"endpoint_name", "d"}, {"namespace", "ns"}, {"producer_name", "load"}, {"fairness_id", "f"}};
  const Labels prefill{{"endpoint_name", "p"}, {"priority", "-2"}};
  EXPECT_EQ(page.value("llm_d_epp_inflight_tokens", decode), 120);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", prefill), 1);
  request.first_token(milliseconds{1}, true);
  EXPECT_EQ(page.value("llm_d_epp_inflight_tokens", decode), 20);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", decode), 1);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", prefill), 0);
  EXPECT_EQ(page.value("llm_d_epp_inflight_tokens", prefill), 0);
  // An endpoint that left stays for as long as something is in flight there.
  page.epp.refresh({}, kNow);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", prefill), -1);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", decode), 1);
  request.end({.duration = seconds{1}});
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests", decode), 0);
  page.epp.refresh({}, kNow);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests"), -1);
}

EndpointState endpoint(const std::string& name, std::uint32_t waiting, float kv, Duration age = {}) {
  EndpointState state;
  state.endpoint = std::make_shared<Endpoint>(Endpoint{.name = name, .url = {}, .models = {}, .labels = {}});
  state.health = EndpointHealth::kReady;
  state.waiting_requests = {waiting, kNow - age};
  state.kv_usage = {kv, kNow - age};
  return state;
}

TEST(EppMetrics, ShowsThePoolAsItStands) {
  Page page;
  EndpointSnapshot pool{.version = 1, .taken_at = kNow, .endpoints = {}};
  pool.endpoints = {endpoint("ns/a-rank-0", 2, 0.25F), endpoint("ns/b-rank-0", 6, 0.75F),
                    endpoint("ns/old-rank-0", 100, 1.0F, seconds{3}), endpoint("ns/down-rank-0", 50, 1.0F)};
  pool.endpoints[3].health = EndpointHealth::kDown;
  page.epp.refresh(pool, kNow);
  EXPECT_EQ(page.value("llm_d_epp_ready_endpoints", {{"name", "pool"}}), 2);
  EXPECT_EQ(page.value("inference_pool_ready_pods", {{"name", "pool"}}), 2);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_average_queue_size"), 4);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_std_dev_queue_size"), std::sqrt(8.0));  // of a sample
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_average_kv_cache_utilization"), 0.5);
  EXPECT_EQ(page.value("llm_d_epp_average_running_requests"), 0);  // nobody told
  EXPECT_EQ(page.series("llm_d_epp_per_endpoint_queue_size").size(), 4U);
  EXPECT_EQ(page.value("inference_pool_per_pod_queue_size", {{"model_server_pod", "old-rank-0"}}), 100);
  pool.endpoints.erase(pool.endpoints.begin(), pool.endpoints.begin() + 2);
  page.epp.refresh(pool, kNow);
  EXPECT_EQ(page.value("llm_d_epp_ready_endpoints"), 0);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_average_queue_size"), 4);  // as it was
  EXPECT_EQ(page.series("llm_d_epp_per_endpoint_queue_size").size(), 2U);
}

TEST(EppMetrics, TimesThePluginsOfAScheduler) {
  Page page;
  const std::vector<scheduling::TimedPlugin> plugins{{"Filter", "a-filter", "a"}, {"Scorer", "b-scorer", "b"}};
  const auto times = page.epp.plugin_times(plugins);
  times->took(1, milliseconds{4});
  times->took(2, milliseconds{4});
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_plugin_duration_seconds",
                              {{"extension_point", "Scorer"}, {"plugin_type", "b-scorer"}, {"plugin_name", "b"}}),
                   0.004);
  EXPECT_DOUBLE_EQ(page.value("llm_d_epp_plugin_duration_seconds"), 0.004);
}

TEST(EppMetrics, FindsItsFeaturesInAConfiguration) {
  scheduling::SchedulingConfig config;
  config.plugins = {{.name = "pd", .type = "pd-profile-handler"}, {.type = "approx-prefix-cache-producer"}};
  config.others = {{.type = "program-aware-fairness"}};
  Features features;
  add_plugin_features(config, features);
  ASSERT_TRUE(features.disagg);
  EXPECT_EQ(features.disagg->name, "pd");
  ASSERT_TRUE(features.prefix);
  EXPECT_EQ(features.prefix->name, "approx-prefix-cache-producer");
  EXPECT_TRUE(features.program_aware);
  EXPECT_FALSE(features.predictor || features.encoder || features.inflight || features.rollout);
}

TEST(EppMetrics, CountsEveryRequestOfConcurrentThreads) {
  Page page{{.predictor = PluginName{"p", "predicted-latency-producer"},
             .inflight = PluginName{"load", "inflight-load-producer"}}};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const RequestFacts facts;
      for (int n = 0; n < 500; ++n) {
        const std::string model = fmt::format("m{}", n % 7);
        const RequestLabels labels{.model = model, .target_model = model, .fairness_id = "f"};
        const Decision decision = to(fmt::format("ns/{}", n % 5));
        RequestMetrics request = page.epp.begin(labels, 1);
        page.epp.decided(labels, {.decision = decision, .facts = facts, .load_tokens = 3}, request);
        request.first_token(milliseconds{1}, true);
        request.end({.duration = seconds{1}, .usage = {.completion_tokens = 4}, .streaming = true});
      }
    });
  }
  for (int n = 0; n < 50; ++n) {
    page.epp.refresh({}, kNow);
    (void)page.registry.collect();
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(page.value("llm_d_epp_request_total"), 2'000);
  EXPECT_EQ(page.value("inference_objective_request_total"), 2'000);
  EXPECT_EQ(page.value("llm_d_epp_request_running"), 0);
  EXPECT_EQ(page.value("llm_d_epp_scheduler_attempts_total"), 2'000);
  page.epp.refresh({}, kNow);
  EXPECT_EQ(page.value("llm_d_epp_inflight_requests"), -1);
}

}  // namespace
}  // namespace llmd::eppmetrics
