#include "config/endpoint_picker_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/default_config.h"
#include "scheduling/scheduler.h"

namespace llmd::config {
namespace {

constexpr std::string_view kHead = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";

Result<EndpointPickerConfig> parse_body(std::string_view body) {
  return parse_endpoint_picker_config(fmt::format("{}{}", kHead, body), "c.yaml");
}

TEST(EndpointPickerConfig, ReadsPluginsParametersAndWeights) {
  const auto config = parse_body(R"(
plugins:
- {type: prefix-cache-scorer, name: prefix, parameters: {matchLengthWeight: 0.5}}
- type: queue-scorer
- {type: weighted-random-picker, parameters: {maxNumOfEndpoints: 2}}
schedulingProfiles:
- name: main
  plugins: [{pluginRef: prefix, weight: 3}, {pluginRef: queue-scorer}]
)");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  ASSERT_EQ(config->scheduling.profiles.size(), 1U);
  const scheduling::ProfileConfig& profile = config->scheduling.profiles.front();
  EXPECT_EQ(profile.name, "main");
  ASSERT_EQ(profile.plugins.size(), 3U) << "with the configured picker";
  EXPECT_EQ(profile.plugins[0].plugin, "prefix");
  EXPECT_EQ(profile.plugins[0].weight, 3);
  EXPECT_EQ(profile.plugins[1].weight, 1);
  EXPECT_EQ(profile.plugins[2].plugin, "weighted-random-picker");
  const scheduling::ParameterValue* weight = config->scheduling.plugins[0].parameters.find("matchLengthWeight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(std::get<double>(*weight), 0.5);
}

TEST(EndpointPickerConfig, MakesTheReportersOfRequests) {
  const auto config = parse_body(R"yaml(
plugins:
- type: destination-endpoint-served-verifier
- name: total-tokens-cost-reporter
  type: request-attribute-reporter
  parameters:
    attributes:
    - key:
        name: x-gateway-inference-request-cost
      expression: |
        usage.prompt_tokens + usage.completion_tokens
      condition: "has(usage.prompt_tokens) && has(usage.completion_tokens)"
    - key: {namespace: billing, name: reasoning}
      expression: "has(usage.reasoning) ? usage.reasoning : 1"
)yaml");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  EXPECT_TRUE(config->waits.empty());
  EXPECT_TRUE(config->request_plugins.shows_served_endpoint);
  EXPECT_EQ(
      config->warnings,
      (std::vector<std::string>{
          "c.yaml:16:19: request-attribute-reporter: attributes[1] reads usage.reasoning, which no request has"}));
  EXPECT_EQ(reporting::report(config->request_plugins.reporters, {.prompt_tokens = 32, .completion_tokens = 10}),
            (std::vector<reporting::ReportedValue>{{"envoy.lb", "x-gateway-inference-request-cost", 42},
                                                   {"billing", "reasoning", 1}}));
}

TEST(EndpointPickerConfig, ReadsLlmdsDisaggregationExample) {
  const auto config = parse_body(R"yaml(
plugins:
- type: prefill-filter
- type: decode-filter
- type: prefix-cache-scorer
- type: active-request-scorer
- {type: prefix-based-pd-decider, name: pd, parameters: {nonCachedTokens: 512}}
- {type: disagg-profile-handler, parameters: {deciders: {prefill: pd}}}
schedulingProfiles:
- name: prefill
  plugins:
  - {pluginRef: prefill-filter}
  - {pluginRef: prefix-cache-scorer, weight: 2}
  - {pluginRef: active-request-scorer}
- name: decode
  plugins: [{pluginRef: decode-filter}, {pluginRef: prefix-cache-scorer, weight: 3}, {pluginRef: active-request-scorer}]
)yaml");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  const auto scheduler = scheduling::Scheduler::make(config->scheduling);
  ASSERT_TRUE(scheduler.has_value());
  EXPECT_TRUE(scheduler->disaggregates());
}

TEST(EndpointPickerConfig, FillsInLlmdsDefaultsForAConfigThatNamesNothing) {
  const auto config = parse_body("");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  EXPECT_EQ(config->scheduling.profiles.front().name, "default");
  EXPECT_EQ(config->scheduling.profiles.front().plugins.size(), 4U);
}

TEST(EndpointPickerConfig, AcceptsTheOldApiGroupWithAWarning) {
  const auto config = parse_endpoint_picker_config(
      "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n", "c.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  ASSERT_EQ(config->warnings.size(), 1U);
  EXPECT_EQ(config->warnings.front(),
            "c.yaml:1:13: apiVersion inference.networking.x-k8s.io/v1alpha1 is deprecated; write llm-d.ai/v1alpha1");
}

TEST(EndpointPickerConfig, ReadsTheSameAsJson) {
  const auto config = parse_endpoint_picker_config(
      R"({"apiVersion": "llm-d.ai/v1alpha1", "kind": "EndpointPickerConfig",
          "featureGates": ["flowControl=false"], "plugins": [{"type": "queue-scorer"}]})",
      "c.json");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
}

TEST(EndpointPickerConfig, WantsApiVersionAndKind) {
  const auto error_of = [](std::string_view text) {
    return parse_endpoint_picker_config(text, "c.yaml").error().to_string();
  };
  EXPECT_EQ(error_of("kind: EndpointPickerConfig"),
            "config_invalid: c.yaml:1:1: apiVersion is missing (add apiVersion: llm-d.ai/v1alpha1)");
  EXPECT_EQ(error_of("apiVersion: v1\n"),
            "config_invalid: c.yaml:1:13: apiVersion is \"v1\"; expected llm-d.ai/v1alpha1 or "
            "inference.networking.x-k8s.io/v1alpha1");
  EXPECT_EQ(error_of("apiVersion: llm-d.ai/v1alpha1\nkind: Pod\n"),
            "config_invalid: c.yaml:2:7: kind is \"Pod\"; expected EndpointPickerConfig");
  EXPECT_EQ(error_of(""), "config_invalid: c.yaml:1:1: apiVersion is missing (add apiVersion: llm-d.ai/v1alpha1)");
  EXPECT_EQ(error_of("[]"), "config_invalid: c.yaml:1:1: the configuration is a list; expected an object");
}

TEST(DefaultConfig, UnifiedExpectsLatencies) {
  const auto config = parse_endpoint_picker_config(default_unified_config(), "default");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  EXPECT_EQ(config->scheduling.profiles.front().plugins.front().plugin, "expected-latency-scorer");
  double others = 0;
  for (const auto& each : std::span{config->scheduling.profiles.front().plugins}.subspan(1)) others += each.weight;
  EXPECT_GT(config->scheduling.profiles.front().plugins.front().weight, 50 * others);
  EXPECT_TRUE(scheduling::Scheduler::make(config->scheduling).has_value());
}

TEST(DefaultConfig, LlmdsIsWhatItRunsWithoutAFile) {
  const auto config = parse_endpoint_picker_config(llm_d_default_config(), "default");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  scheduling::SchedulingConfig none;
  scheduling::apply_defaults(none);
  ASSERT_EQ(config->scheduling.profiles.size(), none.profiles.size());
  const auto& ours = config->scheduling.profiles.front().plugins;
  const auto& theirs = none.profiles.front().plugins;
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].plugin, theirs[i].plugin);
    EXPECT_EQ(ours[i].weight, theirs[i].weight);
  }
}

TEST(DefaultConfig, DisaggregatedPrefillsFrom64UncachedTokens) {
  const auto config = parse_endpoint_picker_config(default_disagg_config(), "default");
  ASSERT_TRUE(config.has_value()) << config.error().to_string();
  const auto scheduler = scheduling::Scheduler::make(config->scheduling);
  ASSERT_TRUE(scheduler.has_value());
  EXPECT_TRUE(scheduler->disaggregates());
}

TEST(LoadEndpointPickerConfig, SaysWhatIsWrongWithTheFile) {
  const std::filesystem::path folder = std::filesystem::path{::testing::TempDir()} / "llmd_config_test";
  std::filesystem::create_directories(folder);
  EXPECT_EQ(load_endpoint_picker_config(folder / "none.yaml").error().code, ErrorCode::kFileNotFound);
  EXPECT_EQ(load_endpoint_picker_config(folder).error().code, ErrorCode::kFileInvalid);
  const std::filesystem::path large = folder / "large.yaml";
  std::ofstream{large} << std::string((std::size_t{1} << 20) + 1, ' ');
  EXPECT_EQ(load_endpoint_picker_config(large).error().code, ErrorCode::kFileInvalid);
  const std::filesystem::path good = folder / "good.yaml";
  std::ofstream{good} << default_unified_config();
  EXPECT_TRUE(load_endpoint_picker_config(good).has_value());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace llmd::config
