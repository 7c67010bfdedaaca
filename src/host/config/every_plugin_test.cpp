#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "config/effective_yaml.h"
#include "config/endpoint_picker_config.h"
#include "config/plugin_registry.h"

namespace llmd::config {
namespace {

// What a type cannot do without, as YAML.
const std::map<std::string_view, std::string_view> kNeeded{
    {"by-label", "{label: tier, validValues: [gold]}"},
    {"disaggregatedset-rollout-screener", "{scope: {labelSelector: app=x}, revisionGating: {mode: disabled}}"},
    {"endpoint-attribute-filter",
     "{attribute: temperature, algorithm: {type: threshold, threshold: {operator: LessThan, value: 80}}}"},
    {"endpoint-attribute-scorer", "{attributeKey: temperature, algorithm: {type: linear_lower_is_better}}"},
    {"file-discovery", "{path: /etc/endpoints.yaml}"},
    {"header-label-affinity-scorer", "{headerName: x-tenant, labelKey: tenant}"},
    {"multicluster-file-discovery", "{path: /etc/clusters.yaml}"},
    {"priority-holdback-policy", "{minCeiling: 0.5}"},
    {"request-attribute-reporter", "{attributes: [{key: {name: cost}, expression: usage.total_tokens}]}"},
    {"session-id-producer", "{headerName: x-session-id}"},
    {"shared-library-filter", "{path: /usr/lib/plugin.so}"},
    {"shared-library-scorer", "{path: /usr/lib/plugin.so}"},
    {"utilization-filter", "{conditions: [{metric: waiting-queue, maxValue: 5}]}"},
    {"zone-scorer", "{zone: a}"},
};

// A type that works on the scorers of a profile.
constexpr std::string_view kNeedsScorers = "weight-learner";

class EveryPlugin : public testing::TestWithParam<const scheduling::PluginSpec*> {};

TEST_P(EveryPlugin, LoadsAndShowsWhatItLoaded) {
  const scheduling::PluginSpec& spec = *GetParam();
  const auto needed = kNeeded.find(spec.type);
  const bool needs_scorers = spec.type == kNeedsScorers;
  const std::string text = fmt::format(
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: {}\n  name: it\n  parameters: {}\n"
      "{}schedulingProfiles:\n- name: decode\n  plugins: {}\n",
      spec.type, needed == kNeeded.end() ? "{}" : needed->second,
      needs_scorers ? "- type: queue-scorer\n- type: running-requests-size-scorer\n" : "",
      needs_scorers ? "[{pluginRef: queue-scorer}, {pluginRef: running-requests-size-scorer}]"
      : spec.kind <= scheduling::PluginKind::kPicker ? "[{pluginRef: it}]"
                                                     : "[]");
  const auto config = parse_endpoint_picker_config(text, "c.yaml", {.allow_experimental = true});
  ASSERT_TRUE(config.has_value()) << config.error().to_string() << "\n" << text;
  EXPECT_EQ(config->waits.empty(), spec.support != scheduling::Support::kWaits);
  const std::string effective = effective_yaml(*config);
  EXPECT_NE(effective.find(fmt::format("- type: {}\n  name: it\n", spec.type)), std::string::npos) << effective;
  const auto again = parse_endpoint_picker_config(effective, "effective", {.allow_experimental = true});
  ASSERT_TRUE(again.has_value()) << again.error().to_string() << "\n" << effective;
  EXPECT_EQ(effective_yaml(*again), effective);
}

std::string test_name(const testing::TestParamInfo<const scheduling::PluginSpec*>& info) {
  std::string name{info.param->type};
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, EveryPlugin, testing::ValuesIn(all_plugins()), test_name);

}  // namespace
}  // namespace llmd::config
