#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/endpoint_picker_config.h"

namespace llmd::config {
namespace {

Result<EndpointPickerConfig> parse(std::string_view plugins, std::string_view layer = "") {
  const std::string text =
      fmt::format("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: max-score-picker\n{}{}",
                  plugins, layer);
  return parse_endpoint_picker_config(text, "c.yaml", {.allow_experimental = true});
}

DataLayerConfig layer_of(std::string_view plugins, std::string_view layer = "") {
  const auto config = parse(plugins, layer);
  EXPECT_TRUE(config) << config.error().to_string();
  if (!config) return {};
  EXPECT_TRUE(config->waits.empty()) << config->waits.front();
  return config->data_layer;
}

TEST(DataSources, AreTheMetricsOfTheEndpointsIfNothingIsSaid) {
  const DataLayerConfig layer = layer_of("");
  EXPECT_EQ(layer.metrics, (PageSource{.path = "/metrics"}));
  EXPECT_FALSE(layer.models);
  EXPECT_TRUE(layer.exporters.empty());
  EXPECT_EQ(layer.extractor.engine_label, "llm-d.ai/engine-type");
  EXPECT_EQ(layer.extractor.default_engine, "vllm");
  EXPECT_FALSE(layer_of("", "dataLayer: {injectDefaults: false}\n").metrics) << "llm-d asks for nothing then, too";
}

TEST(DataSources, TheDefaultSourceTakesTheParametersOfAPluginOfItsName) {
  const DataLayerConfig layer = layer_of(
      "- {type: metrics-data-source, parameters: {path: m, port: 9000, interval: 50ms}}\n"
      "- {type: core-metrics-extractor, parameters: {defaultEngine: sglang, engineLabelKey: engine}}\n");
  EXPECT_EQ(layer.metrics, (PageSource{.path = "/m", .port = 9'000, .interval = std::chrono::milliseconds{50}}));
  EXPECT_EQ(layer.extractor.default_engine, "sglang");
  EXPECT_EQ(layer.extractor.engine_label, "engine");
}

TEST(DataSources, AnEngineSaysWhereItsPageTellsWhat) {
  const DataLayerConfig layer = layer_of(
      "- type: core-metrics-extractor\n"
      "  parameters:\n"
      "    defaultEngine: mine\n"
      "    engineConfigs:\n"
      "    - name: mine\n"
      "      queuedRequestsSpec: queue{state=waiting}\n"
      "      runningRequestsSpec: running\n"
      "      kvUsageSpec: kv\n"
      "      cacheInfoSpec: info\n"
      "      cacheBlockSizeLabelName: tokens\n"
      "      customMetrics: [{attributeKey: heat, metricSpec: \"heat{tier=gold}\"}]\n");
  ASSERT_EQ(layer.extractor.engines.size(), 1U);
  const EngineConfig& engine = layer.extractor.engines[0];
  EXPECT_EQ(engine.queued_requests, (MetricSpec{"queue", {{"state", "waiting"}}}));
  EXPECT_EQ(engine.running_requests.name, "running");
  EXPECT_EQ(engine.block_tokens_label, "tokens");
  EXPECT_EQ(engine.blocks_label, "num_gpu_blocks");
  EXPECT_TRUE(engine.lora.name.empty());
  ASSERT_EQ(engine.custom.size(), 1U);
  EXPECT_EQ(engine.custom[0].attribute, "heat");
  EXPECT_EQ(engine.custom[0].series, (MetricSpec{"heat", {{"tier", "gold"}}}));
}

TEST(DataSources, ExportersAndModelsAreAskedToo) {
  const DataLayerConfig layer = layer_of(
      "- {type: dcgm-data-source, parameters: {useNodeAddress: true, interval: 1s}}\n- type: dcgm-extractor\n"
      "- type: node-exporter-data-source\n- type: node-exporter-extractor\n"
      "- {type: models-data-source, parameters: {interval: 5s}}\n- type: models-data-extractor\n",
      "dataLayer:\n  sources:\n"
      "  - {pluginRef: dcgm-data-source, extractors: [{pluginRef: dcgm-extractor}]}\n"
      "  - {pluginRef: node-exporter-data-source, extractors: [{pluginRef: node-exporter-extractor}]}\n"
      "  - {pluginRef: models-data-source, extractors: [{pluginRef: models-data-extractor}]}\n");
  EXPECT_TRUE(layer.metrics) << "is added";
  ASSERT_EQ(layer.exporters.size(), 2U);
  EXPECT_EQ(layer.exporters[0].kind, ExporterKind::kDcgm);
  EXPECT_EQ(layer.exporters[0].page,
            (PageSource{.path = "/metrics", .port = 9'400, .interval = std::chrono::milliseconds{1'000}}));
  EXPECT_TRUE(layer.exporters[0].use_node_address);
  EXPECT_EQ(layer.exporters[1].kind, ExporterKind::kNode);
  EXPECT_EQ(layer.exporters[1].page.port, 9'100);
  EXPECT_FALSE(layer.exporters[1].use_node_address);
  EXPECT_EQ(layer.models, (PageSource{.path = "/v1/models", .interval = std::chrono::milliseconds{5'000}}));
}

TEST(DataSources, HttpsWaits) {
  const auto config = parse("- {type: metrics-data-source, parameters: {scheme: https}}\n");
  ASSERT_TRUE(config);
  ASSERT_EQ(config->waits.size(), 1U);
  EXPECT_NE(config->waits[0].find("metrics-data-source: scheme"), std::string::npos);
  EXPECT_FALSE(check_supported(*config));
}

TEST(DataSources, WhatCannotBeMeantIsAnErrorAtItsPlace) {
  struct Case {
    const char* name;
    std::string_view plugins;
    std::string_view error;
  };
  const auto engines = [](std::string_view text) {
    return fmt::format("- {{type: core-metrics-extractor, parameters: {{engineConfigs: [{}]}}}}\n", text);
  };
  const std::string no_name = engines("{queuedRequestsSpec: a}");
  const std::string reserved = engines("{name: default}");
  const std::string twice = engines("{name: a}, {name: a}");
  const std::string no_spec = engines("{name: a, queuedRequestsSpec: \"a{b\"}");
  const std::string no_key = engines("{name: a, customMetrics: [{metricSpec: b}]}");
  const std::string no_series = engines("{name: a, customMetrics: [{attributeKey: b}]}");
  const std::string key_twice =
      engines("{name: a, customMetrics: [{attributeKey: b, metricSpec: c}, {attributeKey: b, metricSpec: d}]}");
  const Case cases[] = {
      {"an engine without name", no_name, "engineConfigs[0]: it has no name"},
      {"a reserved name", reserved, "the name \"default\" is taken"},
      {"a name twice", twice, "two engines are named \"a\""},
      {"a spec that is none", no_spec, "queuedRequestsSpec: \"a{b\" names no series"},
      {"a metric without key", no_key, "a custom metric has no attributeKey"},
      {"a metric without series", no_series, "the custom metric \"b\" has no metricSpec"},
      {"a key twice", key_twice, "two custom metrics have the attributeKey \"b\""},
      {"an unknown default", "- {type: core-metrics-extractor, parameters: {defaultEngine: vlm}}\n",
       "defaultEngine \"vlm\" is not among the engines"},
      {"a path with blanks", "- {type: metrics-data-source, parameters: {path: \"/a b\"}}\n",
       "path is no path of a URL"},
  };
  for (const Case& item : cases) {
    const auto config = parse(item.plugins);
    ASSERT_FALSE(config) << item.name;
    EXPECT_EQ(config.error().code, ErrorCode::kConfigInvalid) << item.name;
    EXPECT_TRUE(config.error().what.starts_with("c.yaml:5:3: ")) << item.name << ": " << config.error().what;
    EXPECT_NE(config.error().what.find(item.error), std::string::npos) << item.name << ": " << config.error().what;
  }
}

}  // namespace
}  // namespace llmd::config
