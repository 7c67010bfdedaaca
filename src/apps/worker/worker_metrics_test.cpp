#include "apps/worker/worker_metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exporters/prometheus.h"

namespace llmd::worker {
namespace {

using testing::HasSubstr;

TEST(WorkerMetrics, CarryVllmsNamesTypesAndEdgesBeforeAModelIsLoaded) {
  MetricsRegistry registry;
  WorkerMetrics metrics{registry, "m"};
  metrics.observe_first_token(milliseconds{30});
  metrics.observe_inter_token(milliseconds{20});
  metrics.count_finish(FinishReason::kLength);
  metrics.observe_request(
      {.prompt_tokens = 7, .completion_tokens = 3, .first_token = milliseconds{30}, .total = seconds{1}});
  const TimePoint start{seconds{100}};
  metrics.observe_sequence({.queued = start,
                            .scheduled = start + milliseconds{400},
                            .first_token = start + milliseconds{1'000},
                            .last_token = start + milliseconds{3'400}});
  const std::string page = render_prometheus(registry);
  for (const char* line : {
           "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"m\",engine=\"0\"} 0\n",
           "# TYPE vllm:num_requests_waiting gauge\n",
           "# TYPE vllm:kv_cache_usage_perc gauge\n",
           "# TYPE vllm:prefix_cache_queries_total counter\n",
           "# TYPE vllm:prefix_cache_hits_total counter\n",
           "# TYPE vllm:prompt_tokens_total counter\n",
           "# TYPE vllm:generation_tokens_total counter\n",
           "# TYPE vllm:num_preemptions_total counter\n",
           "vllm:request_success_total{model_name=\"m\",engine=\"0\",finished_reason=\"length\"} 1\n",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.02\"} 0\n",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.04\"} 1\n",
           "vllm:time_to_first_token_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"2560\"} 1\n",
           "vllm:inter_token_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.025\"} 1\n",
           "vllm:e2e_request_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.8\"} 0\n",
           "vllm:e2e_request_latency_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"7680\"} 1\n",
           "vllm:request_prompt_tokens_sum{model_name=\"m\",engine=\"0\"} 7\n",
           "# TYPE vllm:request_queue_time_seconds histogram\n",
           "vllm:request_queue_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.3\"} 0\n",
           "vllm:request_queue_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.5\"} 1\n",
           "# TYPE vllm:request_prefill_time_seconds histogram\n",
           "vllm:request_prefill_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.5\"} 0\n",
           "vllm:request_prefill_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"0.8\"} 1\n",
           "# TYPE vllm:request_decode_time_seconds histogram\n",
           "vllm:request_decode_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"2\"} 0\n",
           "vllm:request_decode_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"2.5\"} 1\n",
           "# TYPE vllm:request_inference_time_seconds histogram\n",
           "vllm:request_inference_time_seconds_sum{model_name=\"m\",engine=\"0\"} 3\n",
           "vllm:request_inference_time_seconds_bucket{model_name=\"m\",engine=\"0\",le=\"7680\"} 1\n",
           "# TYPE vllm:iteration_tokens_total histogram\n",
           "vllm:iteration_tokens_total_bucket{model_name=\"m\",engine=\"0\",le=\"1\"} 0\n",
           "vllm:iteration_tokens_total_bucket{model_name=\"m\",engine=\"0\",le=\"16384\"} 0\n",
           "llmd_worker_ready{model_name=\"m\",engine=\"0\"} 0\n",
       }) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(WorkerMetrics, LeaveOutThePhasesThatASequenceDidNotReach) {
  MetricsRegistry registry;
  WorkerMetrics metrics{registry, "m"};
  const TimePoint start{seconds{100}};
  metrics.observe_sequence({.queued = start});
  metrics.observe_sequence({.queued = start, .scheduled = start + seconds{1}});
  const std::string page = render_prometheus(registry);
  EXPECT_THAT(page, HasSubstr("vllm:request_queue_time_seconds_count{model_name=\"m\",engine=\"0\"} 1\n"));
  for (const char* phase : {"prefill", "decode", "inference"}) {
    EXPECT_THAT(
        page, HasSubstr(fmt::format("vllm:request_{}_time_seconds_count{{model_name=\"m\",engine=\"0\"}} 0\n", phase)));
  }
}

}  // namespace
}  // namespace llmd::worker
