#include "pool/metric_adapter.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "pool/engine_metrics.h"

namespace llmd::pool {
namespace {

config::MetricSpec spec(std::string_view text) { return *config::parse_metric_spec(text); }

Endpoint labelled(std::map<std::string, std::string> labels) {
  return {.name = "e", .url = "http://127.0.0.1:1", .labels = std::move(labels)};
}

struct Read {
  EngineReadings readings;
  std::string engine;
};

Read read(const MetricAdapter& adapter, std::string_view page) {
  EngineMetricsParser parser{adapter};
  EXPECT_TRUE(parser.feed(page));
  EngineReadings readings = parser.finish();
  return {std::move(readings), std::string{parser.engine()}};
}

TEST(KnownEngines, AreThoseThatConfigurationsMayName) {
  std::vector<std::string_view> names;
  for (const KnownEngine& engine : known_engines()) names.push_back(engine.name);
  names.push_back(kOllama);
  EXPECT_TRUE(std::ranges::equal(names, config::kKnownEngines));
}

TEST(KnownEngines, NameTheirSeriesAsSpecs) {
  for (const KnownEngine& engine : known_engines()) {
    for (const KnownSeries& series : engine.series) {
      const auto parsed = config::parse_metric_spec(series.spec);
      ASSERT_TRUE(parsed) << engine.name << ": " << series.spec;
      EXPECT_FALSE(parsed->name.empty()) << engine.name;
    }
  }
}

TEST(MetricAdapters, GoByTheLabelThenByTheOlderLabel) {
  const MetricAdapters adapters{{}};
  EXPECT_EQ(adapters.engine_of(labelled({{"llm-d.ai/engine-type", "sglang"}})), "sglang");
  EXPECT_EQ(adapters.engine_of(labelled({{"inference.networking.k8s.io/engine-type", "tgi"}})), "tgi");
  EXPECT_EQ(adapters.engine_of(
                labelled({{"llm-d.ai/engine-type", "vllm"}, {"inference.networking.k8s.io/engine-type", "tgi"}})),
            "vllm");
  EXPECT_EQ(
      adapters.engine_of(labelled({{"llm-d.ai/engine-type", ""}, {"inference.networking.k8s.io/engine-type", "tgi"}})),
      "tgi");
  EXPECT_EQ(adapters.engine_of(labelled({{"llm-d.ai/engine-type", "unheard-of"}})), "");
  EXPECT_EQ(&adapters.of(labelled({})), &adapters.any());
  EXPECT_EQ(MetricAdapters{{.engine_label = "engine"}}.engine_of(labelled({{"engine", "xllm"}})), "xllm");
}

TEST(MetricAdapters, ALabelHidesTheSeriesOfOtherEngines) {
  const MetricAdapters adapters{{}};
  const std::string_view page = "vllm:num_requests_waiting 1\nsglang:num_queue_reqs 2\n";
  EXPECT_EQ(read(adapters.named("sglang"), page).readings.waiting_requests, 2U);
  EXPECT_EQ(read(adapters.named("vllm"), page).readings.waiting_requests, 1U);
}

TEST(MetricAdapters, WithoutALabelTheEngineOfWhichMostIsThereCounts) {
  const MetricAdapters adapters{{}};
  const Read trt = read(adapters.any(),
                        "nv_inference_pending_request_count{model=\"e\"} 9\nnv_inference_exec_count 900\n"
                        "nv_trt_llm_request_metrics{request_type=\"waiting\"} 4\n"
                        "nv_trt_llm_request_metrics{request_type=\"scheduled\"} 3\n"
                        "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"fraction\"} 0.5\n");
  EXPECT_EQ(trt.engine, "triton-tensorrt-llm");
  EXPECT_EQ(trt.readings.waiting_requests, 4U);
  const Read worker = read(adapters.any(), "vllm:num_requests_waiting 1\nllmd_worker_waiting_tokens 5\n");
  EXPECT_EQ(worker.engine, "llmd");
  EXPECT_EQ(worker.readings.queued_tokens, 5);
  EXPECT_EQ(read(adapters.any(), "nothing 1\n").engine, "");
}

TEST(MetricAdapters, TheDefaultEngineDecidesInDoubtOnly) {
  const std::string_view both = "sglang:num_queue_reqs 2\nlmdeploy:num_requests_waiting 3\n";
  EXPECT_EQ(read(MetricAdapters{{.default_engine = "lmdeploy"}}.any(), both).engine, "lmdeploy");
  EXPECT_EQ(read(MetricAdapters{{.default_engine = "sglang"}}.any(), both).engine, "sglang");
  EXPECT_EQ(read(MetricAdapters{{.default_engine = "tgi"}}.any(), both).engine, "sglang") << "the earlier one";
  EXPECT_EQ(read(MetricAdapters{{.default_engine = "lmdeploy"}}.any(), "sglang:num_queue_reqs 2\n").engine, "sglang");
}

TEST(MetricAdapters, ReadAnEngineOfTheConfiguration) {
  config::CoreExtractorConfig config;
  config.engines.push_back({.name = "mine",
                            .queued_requests = spec("queue{state=waiting}"),
                            .running_requests = spec("running"),
                            .kv_usage = spec("kv"),
                            .cache_info = spec("info"),
                            .block_tokens_label = "tokens",
                            .blocks_label = "count",
                            .custom = {{"z.depth", spec("depth{tier=gold}")}, {"a.heat", spec("heat")}}});
  const MetricAdapters adapters{config};
  const Read got =
      read(adapters.of(labelled({{"llm-d.ai/engine-type", "mine"}})),
           "queue{state=\"running\"} 1\nqueue{state=\"waiting\"} 2\nrunning 3\nkv 0.5\n"
           "info{tokens=\"32\",count=\"100\"} 1\ndepth{tier=\"gold\"} 7\ndepth{tier=\"iron\"} 8\nheat 1.5\n");
  EXPECT_EQ(got.engine, "mine");
  EXPECT_EQ(got.readings.waiting_requests, 2U);
  EXPECT_EQ(got.readings.running_requests, 3U);
  EXPECT_EQ(got.readings.kv_usage, 0.5F);
  EXPECT_EQ(got.readings.kv_block_tokens, 32U);
  EXPECT_EQ(got.readings.kv_blocks, 100U);
  EXPECT_EQ(got.readings.named, (std::vector<NamedValue>{{"a.heat", 1.5F}, {"z.depth", 7.0F}}));
}

TEST(MetricAdapters, AnEngineOfAKnownNameTakesItsPlace) {
  config::CoreExtractorConfig config;
  config.engines.push_back({.name = "vllm", .queued_requests = spec("other")});
  const MetricAdapters adapters{config};
  EXPECT_FALSE(read(adapters.named("vllm"), "vllm:num_requests_waiting 1\n").readings.waiting_requests);
  EXPECT_EQ(read(adapters.any(), "other 2\n").readings.waiting_requests, 2U);
}

}  // namespace
}  // namespace llmd::pool
