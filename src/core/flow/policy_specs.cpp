#include "flow/policy_specs.h"

#include <array>

namespace llmd::flow {
namespace {

using scheduling::ParameterSpec;
using scheduling::ParameterType;
using scheduling::PluginKind;
using scheduling::PluginSpec;
using scheduling::Stability;

constexpr std::array<std::string_view, 1> kStrategies{"las"};
constexpr std::array kProgramAware{
    ParameterSpec{.name = "strategy",
                  .type = ParameterType::kText,
                  .text = "las",
                  .choices = kStrategies,
                  .help = "las: least attained service first"},
    ParameterSpec{.name = "lasWeightService",
                  .type = ParameterType::kNumber,
                  .number = 0.8,
                  .help = "weight of the tokens that a program got"},
    ParameterSpec{.name = "lasWeightHeadWait",
                  .type = ParameterType::kNumber,
                  .number = 0.2,
                  .help = "weight of how long its first request waits"},
    ParameterSpec{.name = "lasHalfLifeSeconds",
                  .type = ParameterType::kNumber,
                  .number = 60,
                  .help = "seconds after which half of what a program got is forgotten"},
    ParameterSpec{.name = "evictionTtlSeconds",
                  .type = ParameterType::kNumber,
                  .number = 3'600,
                  .help = "seconds after which an idle program is forgotten"},
    ParameterSpec{.name = "evictionSweepSeconds",
                  .type = ParameterType::kNumber,
                  .number = 300,
                  .help = "seconds between two looks for idle programs: none are needed here",
                  .support = scheduling::Support::kNoEffect},
};
constexpr std::array kTokenCounter{
    ParameterSpec{.name = "inputTokenWeight",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .max = 1e6,
                  .help = "what a token of a prompt counts"},
    ParameterSpec{.name = "outputTokenWeight",
                  .type = ParameterType::kNumber,
                  .number = 2,
                  .max = 1e6,
                  .help = "what a token of an answer counts"},
};
constexpr std::array kShortestPrefill{
    ParameterSpec{.name = "millisecondsPerToken",
                  .type = ParameterType::kNumber,
                  .number = 1,
                  .max = 1e6,
                  .help = "how long a request yields to later ones for each token that it needs computed; higher lets "
                          "short ones pass for longer"},
};
constexpr std::array kStaticLimit{
    ParameterSpec{.name = "threshold",
                  .type = ParameterType::kNumber,
                  .number = 1.0,
                  .help = "saturation from which nothing is dispatched; lower keeps room at the engines"},
};
constexpr std::array<std::string_view, 1> kShapes{"linear"};
constexpr std::array<std::string_view, 2> kDomains{"rank", "value"};
constexpr std::array kHoldback{
    ParameterSpec{.name = "minCeiling",
                  .type = ParameterType::kNumber,
                  .max = 1.0,
                  .help = "the saturation from which the lowest band waits",
                  .required = true},
    ParameterSpec{.name = "maxCeiling",
                  .type = ParameterType::kNumber,
                  .number = 1.0,
                  .max = 1.0,
                  .help = "the saturation from which the highest band waits"},
    ParameterSpec{.name = "domain",
                  .type = ParameterType::kText,
                  .text = "rank",
                  .choices = kDomains,
                  .help = "whether the bands between lie by their rank or by their priority's value"},
    ParameterSpec{.name = "shape",
                  .type = ParameterType::kText,
                  .text = "linear",
                  .choices = kShapes,
                  .help = "of the line between the two"},
};

constexpr PluginSpec kSpecs[] = {
    {.type = "global-strict-fairness-policy",
     .kind = PluginKind::kFairnessPolicy,
     .help = "the best request over all flows of a band, as the ordering policy says"},
    {.type = "program-aware-fairness",
     .kind = PluginKind::kFairnessPolicy,
     .help = "the flow that got the fewest tokens of late",
     .parameters = kProgramAware},
    {.type = "round-robin-fairness-policy",
     .kind = PluginKind::kFairnessPolicy,
     .help = "one request of each flow in turn"},
    {.type = "virtual-token-counter-fairness-policy",
     .kind = PluginKind::kFairnessPolicy,
     .help = "the flow that got the fewest weighted tokens; idle time is not saved up",
     .parameters = kTokenCounter,
     .ours = true},
    {.type = "edf-ordering-policy",
     .kind = PluginKind::kOrderingPolicy,
     .help = "the request whose time to live ends first",
     .inputs = "enqueue time, TTL"},
    {.type = "fcfs-ordering-policy",
     .kind = PluginKind::kOrderingPolicy,
     .help = "the request that came first",
     .inputs = "enqueue time"},
    {.type = "shortest-uncached-prefill-ordering-policy",
     .kind = PluginKind::kOrderingPolicy,
     .help = "the request with the fewest tokens to compute, aged so that long ones are not passed for ever",
     .parameters = kShortestPrefill,
     .inputs = "prompt tokens, prefix matches, enqueue time",
     .ours = true},
    {.type = "slo-deadline-ordering-policy",
     .kind = PluginKind::kOrderingPolicy,
     .help = "the request whose TTFT objective ends first; those without one last",
     .inputs = "x-llm-d-slo-ttft-ms, arrival"},
    {.type = "priority-holdback-policy",
     .kind = PluginKind::kUsageLimitPolicy,
     .help = "lower bands wait at lower saturation",
     .parameters = kHoldback,
     .stability = Stability::kAlpha},
    {.type = "soft-reflective-ceiling-policy",
     .kind = PluginKind::kUsageLimitPolicy,
     .help = "lower bands close as saturation grows, and open at times above it",
     .stability = Stability::kAlpha},
    {.type = "static-usage-limit-policy",
     .kind = PluginKind::kUsageLimitPolicy,
     .help = "one ceiling for all bands",
     .parameters = kStaticLimit},
    {.type = "priority-then-time-eviction-order-policy",
     .kind = PluginKind::kEvictionPolicy,
     .help = "lowest priority first, then the newest. In force with enableEviction, named or not, and nothing else can "
             "be, as in llm-d (`buildRequestEvictor` in its cmd/epp/runner/runner.go)",
     .stability = Stability::kAlpha},
    {.type = "sheddable-eviction-filter",
     .kind = PluginKind::kEvictionPolicy,
     .help = "only requests of negative priority. In force with enableEviction, named or not, as above",
     .stability = Stability::kAlpha},
};

}  // namespace

std::span<const PluginSpec> policy_specs() noexcept { return kSpecs; }

}  // namespace llmd::flow
