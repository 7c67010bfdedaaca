#include "pool/engine_metrics.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace llmd::pool {
namespace {

const MetricAdapters& adapters() {
  static const MetricAdapters made{{}};
  return made;
}

EngineReadings parse(std::string_view page) {
  EngineMetricsParser parser{adapters().any()};
  EXPECT_TRUE(parser.feed(page));
  return parser.finish();
}

constexpr std::string_view kVllmPage =
    "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
    "# TYPE vllm:num_requests_running gauge\n"
    "vllm:num_requests_running{engine=\"0\",model_name=\"a}b\\\"c\"} 3.0\n"
    "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 7\n"
    "vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25\n"
    "vllm:cache_config_info{block_size=\"16\",gpu_memory_utilization=\"0.9\",num_gpu_blocks=\"2048\"} 1.0\n"
    "vllm:prefix_cache_queries_total{model_name=\"m\"} 1e3\n"
    "vllm:prefix_cache_hits_total{model_name=\"m\"} 250.0\n"
    "vllm:e2e_request_latency_seconds_bucket{le=\"+Inf\"} 12\n";

TEST(EngineMetrics, ReadsWhatVllmExports) {
  const EngineReadings readings = parse(kVllmPage);
  EXPECT_EQ(readings.running_requests, 3U);
  EXPECT_EQ(readings.waiting_requests, 7U);
  EXPECT_FLOAT_EQ(readings.kv_usage.value(), 0.25F);
  EXPECT_EQ(readings.kv_block_tokens, 16U);
  EXPECT_EQ(readings.kv_blocks, 2048U);
  EXPECT_EQ(readings.prefix_query_tokens, 1000.0);
  EXPECT_EQ(readings.prefix_hit_tokens, 250.0);
}

TEST(EngineMetrics, ReadsOtherEnginesUnderTheirOwnNames) {
  const EngineReadings sglang = parse(
      "sglang:num_queue_reqs 1\nsglang:num_running_reqs 2\nsglang:token_usage 0.5\n"
      "sglang:cache_config_info{page_size=\"64\",num_pages=\"100\"} 1\n");
  EXPECT_EQ(sglang.waiting_requests, 1U);
  EXPECT_EQ(sglang.running_requests, 2U);
  EXPECT_EQ(sglang.kv_block_tokens, 64U);
  EXPECT_EQ(sglang.kv_blocks, 100U);
  const EngineReadings trt = parse("trtllm_num_requests_waiting 4\ntrtllm_kv_cache_tokens_per_block 32\n");
  EXPECT_EQ(trt.waiting_requests, 4U);
  EXPECT_EQ(trt.kv_block_tokens, 32U);
}

TEST(EngineMetrics, CountsAreAbsentUnlessTheyAreFiniteAndNotNegative) {
  struct Case {
    std::string_view name;
    std::string_view line;
  };
  const Case cases[] = {
      {"negative", "vllm:num_requests_waiting -1\n"},
      {"nan", "vllm:num_requests_waiting NaN\n"},
      {"infinite", "vllm:num_requests_waiting +Inf\n"},
      {"huge", "vllm:num_requests_waiting 1e300\n"},
      {"no value", "vllm:num_requests_waiting\n"},
      {"word", "vllm:num_requests_waiting seven\n"},
      {"number and more", "vllm:num_requests_waiting 7x\n"},
      {"open labels", "vllm:num_requests_waiting{a=\"b 7\n"},
      {"other name", "vllm:num_requests_waiting_by_reason{reason=\"x\"} 7\n"},
  };
  for (const Case& item : cases) {
    EXPECT_FALSE(parse(item.line).waiting_requests) << item.name;
  }
}

TEST(EngineMetrics, TakesTheLatestTimestampElseTheFirstSeries) {
  EXPECT_EQ(
      parse("vllm:num_requests_waiting{engine=\"0\"} 1\nvllm:num_requests_waiting{engine=\"1\"} 2\n").waiting_requests,
      1U);
  EXPECT_EQ(
      parse("vllm:num_requests_waiting{e=\"0\"} 1 100\nvllm:num_requests_waiting{e=\"1\"} 2 200\n").waiting_requests,
      2U);
  EXPECT_EQ(
      parse("vllm:num_requests_waiting{e=\"0\"} 1 200\nvllm:num_requests_waiting{e=\"1\"} 2 100\n").waiting_requests,
      1U);
}

TEST(EngineMetrics, ReadsTheSameHoweverThePageIsCut) {
  Rng rng{7};
  for (int round = 0; round < 200; ++round) {
    EngineMetricsParser parser{adapters().any()};
    std::string_view rest = kVllmPage;
    while (!rest.empty()) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 1 + rng.below(40));
      ASSERT_TRUE(parser.feed(rest.substr(0, size)));
      rest.remove_prefix(size);
    }
    const EngineReadings readings = parser.finish();
    ASSERT_EQ(readings.running_requests, 3U) << "round " << round;
    ASSERT_EQ(readings.kv_blocks, 2048U) << "round " << round;
  }
}

TEST(EngineMetrics, SkipsOverlongLinesAndGoesOn) {
  const std::string page = std::string(100'000, 'x') + "\nvllm:num_requests_waiting 7\n";
  EXPECT_EQ(parse(page).waiting_requests, 7U);
}

TEST(EngineMetrics, RefusesAnEndlessPage) {
  EngineMetricsParser parser{adapters().any()};
  const std::string piece(1'000'000, '\n');
  Result<void> result;
  for (int i = 0; i < 20 && result; ++i) result = parser.feed(piece);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kBodyTooLarge);
}

}  // namespace
}  // namespace llmd::pool
