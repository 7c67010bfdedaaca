#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "scheduling/filters/endpoint_attribute_filter.h"
#include "scheduling/filters/utilization_filter.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::GivenParameters;
using testing::kNow;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;
using testing::try_make;
using Names = std::vector<std::string>;
using Operator = EndpointAttributeFilter::Operator;
using namespace std::string_literals;

/// low has 1, mid 2, high 3; stale has 0 from too long ago, none nothing.
struct AttributeScene : PluginScene {
  explicit AttributeScene(const std::string& attribute)
      : PluginScene{{{.name = "low"}, {.name = "mid"}, {.name = "high"}, {.name = "stale"}, {.name = "none"}}} {
    const std::pair<float, Duration> readings[] = {{1.0F, {}}, {2.0F, seconds{2}}, {3.0F, {}}, {0.0F, seconds{3}}};
    for (EndpointIndex i = 0; i < std::size(readings); ++i)
      signals(i).named.push_back({attribute, {readings[i].first, kNow - readings[i].second}});
  }
};

EndpointAttribute attribute(std::string_view name) {
  return EndpointAttribute::named("t", "attribute", name, std::nullopt).value();
}

TEST(EndpointAttributeFilter, ComparesWithTheThreshold) {
  const AttributeScene scene{"temperature"};
  const struct {
    Operator op;
    Names kept;
  } cases[] = {
      {Operator::kLess, {"low"}},     {Operator::kLessOrEqual, {"low", "mid"}},
      {Operator::kGreater, {"high"}}, {Operator::kGreaterOrEqual, {"mid", "high"}},
      {Operator::kEqual, {"mid"}},    {Operator::kNotEqual, {"low", "high"}},
  };
  for (const auto& c : cases) {
    EndpointAttributeFilter::Options options{
        .attribute = attribute("temperature"), .op = c.op, .threshold = 2, .drops_missing = true};
    EXPECT_EQ(scene.kept(EndpointAttributeFilter{options}), c.kept);
    options.drops_missing = false;
    Names with_missing = c.kept;
    with_missing.insert(with_missing.end(), {"stale", "none"});
    EXPECT_EQ(scene.kept(EndpointAttributeFilter{options}), with_missing);
  }
}

TEST(EndpointAttributeFilter, FallsBackOnlyWhereItIsTold) {
  const AttributeScene scene{"temperature"};
  EndpointAttributeFilter::Options options{
      .attribute = attribute("temperature"), .op = Operator::kGreater, .threshold = 9, .drops_missing = true};
  EXPECT_EQ(scene.kept(EndpointAttributeFilter{options}), Names{});
  options.falls_back = true;
  EXPECT_EQ(scene.kept(EndpointAttributeFilter{options}), (Names{"low", "mid", "high", "stale", "none"}));
}

TEST(EndpointAttributeFilter, SaysWhatItSawAndWanted) {
  const AttributeScene scene{"temperature"};
  const EndpointAttributeFilter filter{
      {.attribute = attribute("temperature"), .op = Operator::kLess, .threshold = 0.5F, .drops_missing = true}};
  EXPECT_EQ(scene.reason(filter, 2), "temperature is 3; wanted LessThan 0.5");
  EXPECT_EQ(scene.reason(filter, 3), "temperature is not known; wanted LessThan 0.5");
}

TEST(EndpointAttributeFilter, TakesNotANumberForMissing) {
  PluginScene scene{{{.name = "a"}}};
  scene.signals(0).named.push_back({"x", {std::nanf(""), kNow}});
  EXPECT_EQ(scene.kept(EndpointAttributeFilter{{.attribute = attribute("x")}}), Names{"a"});
  EXPECT_EQ(scene.kept(EndpointAttributeFilter{{.attribute = attribute("x"), .drops_missing = true}}), Names{});
}

GivenParameters attribute_settings(GivenParameters more) {
  GivenParameters settings{{"attribute", "GPUUtilization"s},
                           {"onMissing", "Fail"s},
                           {"algorithm.type", "threshold"s},
                           {"algorithm.threshold.operator", "LessThan"s},
                           {"algorithm.threshold.value", 0.5}};
  for (auto& [name, value] : more) {
    std::erase_if(settings, [&](const auto& each) { return each.first == name; });
    settings.emplace_back(name, std::move(value));
  }
  return settings;
}

TEST(EndpointAttributeFilter, FindsTheAttributeOfItsProducer) {
  const struct {
    std::string reading;
    GivenParameters settings;
  } cases[] = {
      {"GPUUtilization", {}},
      {"GPUUtilization", {{"producer", "core-metrics-extractor"s}}},
      {"GPUUtilization/mine", {{"producer", "mine"s}}},
      {"llm-d.ai/queue", {{"attribute", "llm-d.ai/queue"s}, {"producer", ""s}}},
  };
  for (const auto& c : cases) {
    PluginScene scene{{{.name = "busy"}, {.name = "idle"}}};
    scene.signals(0).named.push_back({c.reading, {0.9F, kNow}});
    scene.signals(1).named.push_back({c.reading, {0.1F, kNow}});
    const MadePlugin made = try_make("endpoint-attribute-filter", attribute_settings(c.settings));
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(scene.kept(*made->filter), Names{"idle"}) << c.reading;
  }
}

TEST(EndpointAttributeFilter, TakesTheGpuUseSignalForDcgms) {
  PluginScene scene{{{.name = "busy"}, {.name = "idle"}, {.name = "stale"}}};
  scene.set_signal(0, Signal::kGpuUse, 0.9F);
  scene.set_signal(1, Signal::kGpuUse, 0.1F);
  scene.set_signal(2, Signal::kGpuUse, 0.1F, seconds{3});
  const MadePlugin made = try_make("endpoint-attribute-filter", attribute_settings({{"producer", "dcgm-extractor"s}}));
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(scene.kept(*made->filter), Names{"idle"});
}

TEST(EndpointAttributeFilter, RefusesWhatLlmdRefuses) {
  const struct {
    std::string name;
    GivenParameters settings;
    std::string what;
  } cases[] = {
      {"no name", {{"attribute", ""s}}, "endpoint-attribute-filter: attribute is empty"},
      {"two in one",
       {{"attribute", "GPUUtilization/dcgm-extractor"s}},
       "endpoint-attribute-filter: attribute is \"GPUUtilization/dcgm-extractor\" and producer is not set"},
      {"onMissing",
       {{"onMissing", "Keep"s}},
       "endpoint-attribute-filter: onMissing is \"Keep\"; expected one of Pass, Fail"},
      {"algorithm",
       {{"algorithm.type", "topK"s}},
       "endpoint-attribute-filter: algorithm.type is \"topK\"; expected one of threshold"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(refusal("endpoint-attribute-filter", attribute_settings(c.settings)), c.what) << c.name;
  EXPECT_EQ(refusal("endpoint-attribute-filter", {{"attribute", "a"s}, {"algorithm.type", "threshold"s}}),
            "endpoint-attribute-filter needs the parameter \"algorithm.threshold.operator\"");
}

ParameterValue condition(const std::string& metric, double max) {
  return ObjectList{parameters_of({{"metric", metric}, {"maxValue", max}})};
}

TEST(UtilizationFilter, KeepsWhatIsWithinTheLimit) {
  const PluginScene scene{{{.name = "a", .waiting = 1, .running = 5, .kv_usage = 0.5F, .inflight = 9},
                           {.name = "b", .waiting = 2, .running = 6, .kv_usage = 0.75F, .inflight = 8},
                           {.name = "none"},
                           {.name = "stale", .waiting = 99, .running = 99, .kv_usage = 1, .metric_age = seconds{3}}}};
  const struct {
    std::string metric;
    double max;
    Names kept;
  } cases[] = {
      {"active-requests", 8, {"b", "none", "stale"}},
      {"running-requests", 5, {"a", "none", "stale"}},
      {"waiting-queue", 1.5, {"a", "none", "stale"}},
      {"kv-cache-utilization", 0.75, {"a", "b", "none", "stale"}},
      {"kv-cache-utilization", 0.5, {"a", "none", "stale"}},
  };
  for (const auto& c : cases) {
    const MadePlugin made = try_make("utilization-filter", {{"conditions", condition(c.metric, c.max)}});
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(scene.kept(*made->filter), c.kept) << c.metric;
  }
}

TEST(UtilizationFilter, WantsAllConditionsAndNamesTheFirstThatIsBroken) {
  using Load = UtilizationFilter::Load;
  const PluginScene scene{{{.name = "a", .waiting = 1, .running = 5}, {.name = "b", .waiting = 3, .running = 1}}};
  const UtilizationFilter filter{{.conditions = {{Load::kWaitingQueue, 2}, {Load::kRunningRequests, 4}}}};
  EXPECT_EQ(scene.kept(filter), Names{});
  EXPECT_EQ(scene.reason(filter, 0), "running-requests is 5; wanted at most 4");
  EXPECT_EQ(scene.reason(filter, 1), "waiting-queue is 3; wanted at most 2");
  const UtilizationFilter falls_back{{.conditions = {{Load::kRunningRequests, 0}}, .falls_back = true}};
  EXPECT_EQ(scene.kept(falls_back), (Names{"a", "b"}));
}

TEST(UtilizationFilter, RefusesWhatLlmdRefuses) {
  EXPECT_EQ(refusal("utilization-filter", {}), "utilization-filter needs the parameter \"conditions\"");
  EXPECT_EQ(refusal("utilization-filter", {{"conditions", ObjectList{}}}), "utilization-filter: conditions is empty");
  EXPECT_EQ(refusal("utilization-filter", {{"conditions", condition("kv-cache-utilization", 1.5)}}),
            "utilization-filter: maxValue of kv-cache-utilization is 1.5; expected at most 1");
  EXPECT_EQ(refusal("utilization-filter", {{"conditions", condition("waiting-queue", -1)}}),
            "utilization-filter: conditions: maxValue is -1; expected a number from 0 to 1000000000000000");
  EXPECT_EQ(refusal("utilization-filter", {{"conditions", condition("gpu", 1)}}),
            "utilization-filter: conditions: metric is \"gpu\"; expected one of active-requests, running-requests, "
            "waiting-queue, kv-cache-utilization");
  EXPECT_EQ(refusal("utilization-filter", {{"conditions", ObjectList{parameters_of({{"metric", "waiting-queue"s}})}}}),
            "utilization-filter: conditions needs the parameter \"maxValue\"");
}

}  // namespace
}  // namespace llmd::scheduling
