#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "config/endpoint_picker_config.h"

namespace llmd::config {
namespace {

// Each mistake gets this very error: where it is, what is wrong, and how to mend it.
struct WrongConfig {
  std::string_view name;
  std::string_view body;  // behind apiVersion and kind
  std::string_view what;
  std::string_view hint;
};

constexpr WrongConfig kWrongConfigs[] = {
    {"unknown field", "plugin: []", "c.yaml:3:1: the configuration has no field \"plugin\"", "did you mean plugins?"},
    {"field twice", "plugins: []\nplugins: []", "c.yaml:4:1: the configuration has the field \"plugins\" twice", ""},
    {"unknown plugin type", "plugins:\n- type: queue-scoer", "c.yaml:4:9: plugin type \"queue-scoer\" is not known",
     "did you mean queue-scorer?"},
    {"no type", "plugins:\n- name: q", "c.yaml:4:3: a plugin has no type", ""},
    {"unknown plugin field", "plugins:\n- {type: queue-scorer, params: {}}",
     "c.yaml:4:24: a plugin has no field \"params\"", "known: name, type, parameters"},
    {"unknown parameter", "plugins:\n- {type: prefix-based-pd-decider, parameters: {nonCachedToken: 1}}",
     "c.yaml:4:48: prefix-based-pd-decider has no parameter \"nonCachedToken\"", "did you mean nonCachedTokens?"},
    {"unknown nested parameter", "plugins:\n- {type: disagg-profile-handler, parameters: {deciders: {prefil: pd}}}",
     "c.yaml:4:58: disagg-profile-handler has no parameter \"deciders.prefil\"", "did you mean deciders.prefill?"},
    {"parameter of another type", "plugins:\n- {type: max-score-picker, parameters: {maxNumOfEndpoints: \"2\"}}",
     "c.yaml:4:60: max-score-picker: maxNumOfEndpoints is \"2\"; expected a whole number", ""},
    {"parameter out of range", "plugins:\n- {type: prefix-cache-scorer, parameters: {matchLengthWeight: 2}}",
     "c.yaml:4:63: prefix-cache-scorer: matchLengthWeight is 2; expected a number from 0 to 1",
     "parameters and defaults: docs/plugins.md"},
    {"parameters as list", "plugins:\n- {type: queue-scorer, parameters: [1]}",
     "c.yaml:4:36: parameters of queue-scorer is a list; expected an object", ""},
    {"duplicate plugin", "plugins:\n- type: queue-scorer\n- type: queue-scorer",
     "c.yaml:5:3: two plugins are named \"queue-scorer\"",
     "give one of them another name; the name defaults to the type"},
    {"undefined reference",
     "plugins:\n- type: queue-scorer\nschedulingProfiles:\n- name: p\n  plugins: [{pluginRef: queue}]",
     "c.yaml:7:25: pluginRef \"queue\" names no configured plugin", "known: queue-scorer"},
    {"reporter without attributes", "plugins:\n- type: request-attribute-reporter",
     "c.yaml:4:3: request-attribute-reporter needs the parameter \"attributes\"",
     "what is reported; usage has prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details.cached_tokens"},
    {"reporter with no attributes", "plugins:\n- {type: request-attribute-reporter, parameters: {attributes: []}}",
     "c.yaml:4:3: request-attribute-reporter: there are no attributes",
     "parameters: {attributes: [{key: {name: cost}, expression: usage.total_tokens}]}"},
    {"reporter without expression",
     "plugins:\n- {type: request-attribute-reporter, parameters: {attributes: [{key: {name: a}}]}}",
     "c.yaml:4:63: request-attribute-reporter: attributes needs the parameter \"expression\"",
     "CEL over usage, of a number, cut to a whole one; 0 is not reported"},
    {"reporter with an empty name",
     "plugins:\n- {type: request-attribute-reporter, parameters: {attributes: [{key: {name: \"\"}, expression: "
     "\"1\"}]}}",
     "c.yaml:4:77: request-attribute-reporter: attributes[0].key.name: is empty", "it names the value in the metadata"},
    {"reporter with a function",
     "plugins:\n- type: request-attribute-reporter\n  parameters:\n    attributes:\n    - key: {name: a}\n"
     "      expression: usage.prompt_tokens + size('a')",
     "c.yaml:8:19: request-attribute-reporter: attributes[0].expression: 1:23: functions are not supported: size()",
     "numbers of a record go with int and with double as they are"},
    {"reporter with a condition that is none",
     "plugins:\n- type: request-attribute-reporter\n  parameters:\n    attributes:\n    - key: {name: a}\n"
     "      expression: usage.prompt_tokens\n      condition: usage.prompt_tokens",
     "c.yaml:9:18: request-attribute-reporter: attributes[0].condition: 1:1: is of type number; expected bool",
     "compare it with something: > 0"},
    {"no reference", "schedulingProfiles:\n- name: p\n  plugins: [{weight: 1}]",
     "c.yaml:5:13: a profile's plugin has no pluginRef", ""},
    {"weight",
     "plugins:\n- type: queue-scorer\nschedulingProfiles:\n- name: p\n  plugins: [{pluginRef: queue-scorer, weight: "
     "heavy}]",
     "c.yaml:7:47: weight is \"heavy\"; expected a number", ""},
    {"profile without name", "schedulingProfiles:\n- plugins: []", "c.yaml:4:3: a scheduling profile has no name", ""},
    {"duplicate profile", "schedulingProfiles:\n- name: p\n- name: p",
     "c.yaml:5:9: two scheduling profiles are named \"p\"", ""},
    {"several profiles", "schedulingProfiles:\n- name: a\n- name: b",
     "c.yaml: 2 scheduling profiles and no profile handler", "add disagg-profile-handler, or keep one profile"},
    {"feature gate", "featureGates: [flowcontrol]", "c.yaml:3:16: feature gate \"flowcontrol\" is not known",
     "did you mean flowControl?"},
    {"feature gate value", "featureGates: [flowControl=maybe]",
     "c.yaml:3:16: feature gate flowControl is \"maybe\"; expected true or false", ""},
    {"not YAML", "plugins: [", "c.yaml:3:1: end of sequence flow not found", ""},
    {"band twice", "flowControl:\n  priorityBands: [{priority: 1}, {priority: 1}]",
     "c.yaml:4:34: two priority bands have priority 1", ""},
    {"quantity", "flowControl: {maxBytes: 4GiB}",
     "c.yaml:3:25: maxBytes is \"4GiB\"; expected a quantity such as 4Gi or 200", ""},
    {"negative quantity", "flowControl: {maxRequests: -1}", "c.yaml:3:28: maxRequests is -1; expected 0 or more", ""},
    {"duration", "flowControl: {defaultRequestTTL: 20}",
     "c.yaml:3:34: defaultRequestTTL is \"20\"; expected a duration such as 200ms, 5s or 1m30s", ""},
    {"unknown flow field", "flowControl: {maxByte: 1}", "c.yaml:3:15: flowControl has no field \"maxByte\"",
     "did you mean maxBytes?"},
    {"fairness of another kind",
     "plugins:\n- type: fcfs-ordering-policy\nflowControl:\n  priorityBands: [{priority: 0, fairnessPolicyRef: "
     "fcfs-ordering-policy}]",
     "c.yaml:6:52: fairnessPolicyRef \"fcfs-ordering-policy\" is a ordering policy; expected a fairness policy", ""},
    {"undefined ordering policy",
     "plugins:\n- type: queue-scorer\nflowControl:\n  defaultPriorityBand: {orderingPolicyRef: fcfs}",
     "c.yaml:6:44: orderingPolicyRef \"fcfs\" names no configured plugin", "known: queue-scorer"},
    {"detector of another kind",
     "plugins:\n- type: queue-scorer\nflowControl: {saturationDetector: {pluginRef: queue-scorer}}",
     "c.yaml:5:47: saturationDetector: pluginRef \"queue-scorer\" is a scorer; expected a saturation detector", ""},
    {"usage limit of another kind",
     "plugins:\n- type: queue-scorer\nflowControl: {usageLimitPolicyPluginRef: queue-scorer}",
     "c.yaml:5:42: usageLimitPolicyPluginRef \"queue-scorer\" is a scorer; expected a usage limit policy", ""},
    {"undefined detector", "saturationDetector: {pluginRef: concurrency-detector}",
     "c.yaml:3:33: saturationDetector: pluginRef \"concurrency-detector\" names no configured plugin",
     "none is known here"},
    {"parser of another kind",
     "plugins:\n- type: queue-scorer\nrequestHandler:\n  parsers: [{pluginRef: queue-scorer}]",
     "c.yaml:6:25: parsers: pluginRef \"queue-scorer\" is a scorer; expected a parser", ""},
    {"unknown parser", "requestHandler:\n  parsers: [{pluginRef: openai-parsr}]",
     "c.yaml:4:25: parsers: pluginRef \"openai-parsr\" names no configured plugin", "did you mean openai-parser?"},
    {"parser without reference", "requestHandler:\n  parsers: [{}]", "c.yaml:4:13: a parser has no pluginRef", ""},
    {"source of another kind", "plugins:\n- type: queue-scorer\ndataLayer:\n  sources: [{pluginRef: queue-scorer}]",
     "c.yaml:6:25: dataLayer.sources: pluginRef \"queue-scorer\" is a scorer; expected a data source", ""},
    {"source without reference", "dataLayer:\n  sources: [{extractors: []}]",
     "c.yaml:4:13: a data source has no pluginRef", ""},
    {"undefined extractor",
     "plugins:\n- type: metrics-data-source\ndataLayer:\n  sources: [{pluginRef: metrics-data-source, extractors: "
     "[{pluginRef: nobody}]}]",
     "c.yaml:6:71: extractors: pluginRef \"nobody\" names no configured plugin", "known: metrics-data-source"},
    {"discovery of another kind", "plugins:\n- type: queue-scorer\ndataLayer: {discovery: {pluginRef: queue-scorer}}",
     "c.yaml:5:36: discovery: pluginRef \"queue-scorer\" is a scorer; expected a discovery", ""},
    {"discovery without path", "plugins:\n- type: file-discovery",
     "c.yaml:4:3: file-discovery needs the parameter \"path\"", "the file that lists the endpoints"},
    {"sync interval", "dataLayer: {crossReplicaSyncInterval: fast}",
     "c.yaml:3:39: crossReplicaSyncInterval is \"fast\"; expected a duration such as 200ms", ""},
    {"injectDefaults", "dataLayer: {injectDefaults: 1}", "c.yaml:3:29: injectDefaults is \"1\"; expected true or false",
     ""},
    {"experimental", "plugins:\n- type: session-affinity-scorer",
     "c.yaml:4:9: plugin type session-affinity-scorer is experimental", "pass --allow-experimental-plugins to use it"},
    {"two handlers", "plugins:\n- type: single-profile-handler\n- type: disagg-profile-handler",
     "c.yaml:5:3: two profile handlers are configured, \"disagg-profile-handler\" and \"single-profile-handler\"",
     "keep one"},
    {"single handler with two profiles",
     "plugins:\n- type: single-profile-handler\nschedulingProfiles:\n- name: a\n- name: b",
     "c.yaml:4:3: single-profile-handler with 2 scheduling profiles; expected 1",
     "use disagg-profile-handler for prefill and decode"},
    {"two pickers",
     "plugins:\n- type: random-picker\n- type: max-score-picker\nschedulingProfiles:\n- name: p\n  plugins: "
     "[{pluginRef: random-picker}, {pluginRef: max-score-picker}]",
     "c.yaml:5:3: profile \"p\" has two pickers, \"random-picker\" and \"max-score-picker\"", "keep one"},
    {"old and new names",
     "plugins:\n- {type: disagg-profile-handler, parameters: {decodeProfile: d, profiles: {prefill: "
     "p}}}\nschedulingProfiles:\n- name: d",
     "c.yaml:4:3: disagg-profile-handler has profiles.prefill and the older decodeProfile",
     "use profiles and deciders only"},
    {"decider with prefill first",
     "plugins:\n- type: always-disagg-pd-decider\n- {type: disagg-profile-handler, parameters: {stageOrder: "
     "prefill-first, deciders: {prefill: always-disagg-pd-decider}}}\nschedulingProfiles:\n- name: decode",
     "c.yaml:5:3: disagg-profile-handler: deciders.prefill is \"always-disagg-pd-decider\" with stageOrder "
     "prefill-first",
     "prefill-first always prefills; drop the decider or use decode-first"},
    {"decider of another kind",
     "plugins:\n- type: queue-scorer\n- {type: disagg-profile-handler, parameters: {deciders: {prefill: "
     "queue-scorer}}}\nschedulingProfiles:\n- name: decode",
     "c.yaml:5:3: disagg-profile-handler: deciders.prefill is \"queue-scorer\", a scorer; expected a decider", ""},
    {"undefined decider",
     "plugins:\n- {type: disagg-profile-handler, parameters: {deciders: {prefill: pd}}}\nschedulingProfiles:\n- name: "
     "decode",
     "c.yaml:4:3: disagg-profile-handler: deciders.prefill names plugin \"pd\", which is not configured",
     "known: disagg-profile-handler, max-score-picker"},
    {"no decode profile", "plugins:\n- type: disagg-profile-handler\nschedulingProfiles:\n- name: serve",
     "c.yaml:4:3: disagg-profile-handler: there is no profile \"decode\" for decode",
     "add it, or name another in profiles.decode"},
    {"label selector operator",
     "plugins:\n- {type: label-selector-filter, parameters: {matchExpressions: [{key: a, operator: Is, values: [b]}]}}",
     "c.yaml:4:84: label-selector-filter: matchExpressions: operator is \"Is\"; expected one of In, NotIn, Exists, "
     "DoesNotExist",
     "parameters and defaults: docs/plugins.md"},
    {"label selector field",
     "plugins:\n- {type: label-selector-filter, parameters: {matchExpressions: [{key: a, op: In}]}}",
     "c.yaml:4:74: label-selector-filter: matchExpressions has no parameter \"op\"", "known: key, operator, values"},
    {"by-label without label", "plugins:\n- {type: by-label, parameters: {validValues: [a]}}",
     "c.yaml:4:3: by-label needs the parameter \"label\"", "the label that is looked at"},
    {"utilization without conditions",
     "plugins:\n- type: latency-scorer\n- {type: slo-headroom-tier-filter, parameters: {epsilonExploreNeg: 2}}",
     "c.yaml:5:68: slo-headroom-tier-filter: epsilonExploreNeg is 2; expected a number from 0 to 1",
     "parameters and defaults: docs/plugins.md"},
    {"unknown producer", "plugins:\n- {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: prefix}}",
     "c.yaml:4:3: prefix-cache-scorer: prefixMatchInfoProducerName names plugin \"prefix\", which is not configured",
     "known: approx-prefix-cache-producer, max-score-picker, prefix-cache-scorer, single-profile-handler"},
    {"producer of another kind",
     "plugins:\n- type: queue-scorer\n- {type: prefix-cache-scorer, parameters: {prefixMatchInfoProducerName: "
     "queue-scorer}}",
     "c.yaml:5:3: prefix-cache-scorer: prefixMatchInfoProducerName is \"queue-scorer\", a scorer; expected a data "
     "producer",
     ""},
    {"two prefix producers",
     "plugins:\n- {type: approx-prefix-cache-producer, name: a}\n- {type: approx-prefix-cache-producer, name: b}",
     "c.yaml:4:3: a second producer of prefix matches is configured, \"b\"", "keep one"},
    {"session id of two kinds", "plugins:\n- {type: session-id-producer, parameters: {headerName: a, cookieName: b}}",
     "c.yaml:4:3: session-id-producer has both headerName and cookieName", "set exactly one of them"},
    {"session id of none", "plugins:\n- type: session-id-producer",
     "c.yaml:4:3: session-id-producer has neither headerName nor cookieName", "set exactly one of them"},
    {"staleness", "plugins:\n- {type: utilization-detector, parameters: {metricsStalenessThreshold: soon}}",
     "c.yaml:4:72: utilization-detector: metricsStalenessThreshold is \"soon\"; expected a duration such as 200ms, 5s "
     "or 1m30s",
     "parameters and defaults: docs/plugins.md"},
    {"concurrency mode", "plugins:\n- {type: concurrency-detector, parameters: {concurrencyMode: request}}",
     "c.yaml:4:62: concurrency-detector: concurrencyMode is \"request\"; expected one of requests, tokens, hybrid",
     "parameters and defaults: docs/plugins.md"},
    {"library path", "plugins:\n- type: shared-library-scorer",
     "c.yaml:4:3: shared-library-scorer needs the parameter \"path\"", "of the shared library"},
    {"text for a list", "plugins:\n- {type: by-label, parameters: {label: a, validValues: b}}",
     "c.yaml:4:56: validValues is \"b\"; expected a list", ""},
    {"list for an object", "plugins:\n- {type: label-selector-filter, parameters: {matchLabels: [a]}}",
     "c.yaml:4:59: matchLabels is a list; expected an object", ""},
    {"object list entry", "plugins:\n- {type: label-selector-filter, parameters: {matchExpressions: [a]}}",
     "c.yaml:4:65: parameters of label-selector-filter: matchExpressions is \"a\"; expected an object", ""},
    {"weight not finite",
     "plugins:\n- type: queue-scorer\nschedulingProfiles:\n- name: p\n  plugins: [{pluginRef: queue-scorer, weight: "
     ".inf}]",
     "c.yaml:7:47: weight is \".inf\"; expected a number", ""},
};

class WrongConfigs : public testing::TestWithParam<WrongConfig> {};

TEST_P(WrongConfigs, GetTheirExactError) {
  const WrongConfig& wrong = GetParam();
  const auto config = parse_endpoint_picker_config(
      fmt::format("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n{}", wrong.body), "c.yaml");
  ASSERT_FALSE(config.has_value()) << wrong.name;
  EXPECT_EQ(config.error().code, ErrorCode::kConfigInvalid);
  EXPECT_EQ(config.error().what, wrong.what);
  EXPECT_EQ(config.error().hint, wrong.hint);
}

std::string test_name(const testing::TestParamInfo<WrongConfig>& info) {
  std::string name;
  for (const char c : info.param.name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += letter ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, WrongConfigs, testing::ValuesIn(kWrongConfigs), test_name);

}  // namespace
}  // namespace llmd::config
