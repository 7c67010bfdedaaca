#include "config/effective_yaml.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::config {
namespace {

constexpr std::string_view kEverything = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl=false]
plugins:
- {type: prefix-cache-scorer, name: "a \"b\" c", parameters: {matchLengthWeight: 0.5}}
- type: disagg-profile-handler
  parameters: {profiles: {decode: only}, stageOrder: decode-first}
- {type: file-discovery, parameters: {path: /etc/endpoints.yaml}}
- type: core-metrics-extractor
  parameters: {engineConfigs: [{name: x, customMetrics: [{attributeKey: k, metricSpec: 'm{a="b"}'}]}]}
- {type: agent-identity, parameters: {additionalSessionHeaders: [x-a, "1"]}}
- {type: round-robin-fairness-policy, name: rr}
schedulingProfiles:
- name: only
  plugins: [{pluginRef: "a \"b\" c", weight: 2.5}]
dataLayer:
  discovery: {pluginRef: file-discovery}
flowControl:
  maxBytes: 4Gi
  defaultRequestTTL: 20s
  priorityBands: [{priority: -3, fairnessPolicyRef: rr, maxRequests: "200"}]
)";

TEST(EffectiveYaml, LoadsToTheSame) {
  const auto first = parse_endpoint_picker_config(kEverything, "c", {.allow_experimental = true});
  ASSERT_TRUE(first.has_value()) << first.error().to_string();
  const std::string yaml = effective_yaml(*first);
  const auto second = parse_endpoint_picker_config(yaml, "effective", {.allow_experimental = true});
  ASSERT_TRUE(second.has_value()) << second.error().to_string() << "\n" << yaml;
  EXPECT_EQ(effective_yaml(*second), yaml);
}

TEST(EffectiveYaml, ShowsTheDefaultsThatWereFilledIn) {
  const auto config = parse_endpoint_picker_config("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n", "c");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  const std::string yaml = effective_yaml(*config);
  for (const std::string_view line :
       {"- type: single-profile-handler\n", "- type: max-score-picker\n", "- type: approx-prefix-cache-producer\n",
        "- type: metrics-data-source\n", "- type: fcfs-ordering-policy\n", "- name: default\n",
        "  - {pluginRef: prefix-cache-scorer, weight: 3}\n",
        "  saturationDetector: {pluginRef: utilization-detector}\n", "  defaultRequestTTL: 60000ms\n"}) {
    EXPECT_NE(yaml.find(line), std::string::npos) << line << "in\n" << yaml;
  }
}

}  // namespace
}  // namespace llmd::config
