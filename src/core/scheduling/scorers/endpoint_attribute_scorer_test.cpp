#include "scheduling/scorers/endpoint_attribute_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

const std::string kLow = "linear_lower_is_better";
const std::string kHigh = "linear_higher_is_better";
const std::string kMin = "algorithm.normalization.fixedRange.min";
const std::string kMax = "algorithm.normalization.fixedRange.max";
const std::string kAdaptive = "algorithm.normalization.adaptiveRange";

Parameters with(std::initializer_list<std::pair<std::string, ParameterValue>> more, const std::string& type = kLow,
                const std::string& key = "load") {
  Parameters parameters = parameters_of(more);
  parameters.set("attributeKey", key);
  parameters.set("algorithm.type", type);
  return parameters;
}

void set(PluginScene& scene, EndpointIndex i, const std::string& name, float value, Duration age = {}) {
  scene.signals(i).named = {{name, {value, kNow - age}}};
}

/// load: 10, 20, 50, none, stale.
struct LoadScene : PluginScene {
  LoadScene() : PluginScene{{{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "none"}, {.name = "stale"}}} {
    set(*this, 0, "load", 10);
    set(*this, 1, "load", 20);
    set(*this, 2, "load", 50);
    set(*this, 4, "load", 10, seconds{3});
  }
};

std::vector<float> scores(const PluginScene& scene, const Parameters& parameters) {
  return scene.scores(*make_plugin(EndpointAttributeScorer::kSpec, parameters).scorer);
}

TEST(EndpointAttributeScorer, StretchesOverTheCandidatesAndGivesMissingOnesZero) {
  EXPECT_EQ(scores(LoadScene{}, with({}, kHigh)), (std::vector<float>{0, 0.25F, 1, 0, 0}));
  EXPECT_EQ(scores(LoadScene{}, with({{kAdaptive, true}}, kLow)), (std::vector<float>{1, 0.75F, 0, 0, 0}));
}

TEST(EndpointAttributeScorer, StretchesOverAFixedRangeAndClamps) {
  const Parameters range = with({{kMin, 15.0}, {kMax, std::int64_t{35}}}, kHigh);
  EXPECT_EQ(scores(LoadScene{}, range), (std::vector<float>{0, 0.25F, 1, 0, 0}));
  EXPECT_EQ(scores(LoadScene{}, with({{kMin, 0.0}, {kMax, 40.0}}, kLow)), (std::vector<float>{0.75F, 0.5F, 0, 0, 0}));
}

TEST(EndpointAttributeScorer, GivesOneToEqualValuesAndNothingToNobody) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}, {.name = "none"}}};
  set(scene, 0, "load", 7);
  set(scene, 1, "load", 7);
  EXPECT_EQ(scores(scene, with({})), (std::vector<float>{1, 1, 0}));
  const PluginScene silent{{{.name = "a"}, {.name = "b"}}};
  EXPECT_EQ(scores(silent, with({})), (std::vector<float>{0, 0}));
  scene.candidates.clear();
  EXPECT_TRUE(scores(scene, with({})).empty());
}

TEST(EndpointAttributeScorer, TakesNoValueForMissing) {
  PluginScene scene{{{.name = "a"}, {.name = "b"}, {.name = "nan"}, {.name = "inf"}}};
  set(scene, 0, "load", 1);
  set(scene, 1, "load", 2);
  set(scene, 2, "load", std::numeric_limits<float>::quiet_NaN());
  set(scene, 3, "load", std::numeric_limits<float>::infinity());
  EXPECT_EQ(scores(scene, with({})), (std::vector<float>{1, 0, 0, 0}));
}

TEST(EndpointAttributeScorer, ReadsTheAttributeOfTheProducerThatIsNamed) {
  const struct {
    std::string key;
    std::optional<std::string> producer;
    std::string name;
  } cases[] = {{"load", std::nullopt, "load"},
               {"load", "core-metrics-extractor", "load"},
               {"load", "", "load"},
               {"load", "mine", "load/mine"},
               {"llm-d.ai/load", "", "llm-d.ai/load"},
               {"llm-d.ai/load", "mine", "llm-d.ai/load/mine"}};
  for (const auto& c : cases) {
    PluginScene scene{{{.name = "a"}, {.name = "b"}}};
    set(scene, 0, c.name, 1);
    set(scene, 1, "another", 1);
    Parameters parameters = with({}, kLow, c.key);
    if (c.producer) parameters.set("producer", *c.producer);
    EXPECT_EQ(scores(scene, parameters), (std::vector<float>{1, 0})) << c.name;
  }
}

TEST(EndpointAttributeScorer, ReadsGpuUseAsASignalTooButTheNamedReadingFirst) {
  PluginScene scene{{{.name = "signal"}, {.name = "both"}, {.name = "stale name"}, {.name = "none"}}};
  set(scene, 1, "GPUUtilization/dcgm-extractor", 0.75F);
  set(scene, 2, "GPUUtilization/dcgm-extractor", 0.75F, seconds{3});
  for (const EndpointIndex i : {0U, 1U, 2U}) scene.set_signal(i, Signal::kGpuUse, 0.25F);
  const Parameters parameters =
      with({{"producer", std::string{"dcgm-extractor"}}, {kMin, 0.0}, {kMax, 1.0}}, kLow, "GPUUtilization");
  EXPECT_EQ(scores(scene, parameters), (std::vector<float>{0.75F, 0.25F, 0.75F, 0}));
  EXPECT_EQ(make_plugin(EndpointAttributeScorer::kSpec, parameters).scorer->signal(), Signal::kGpuUse);
  EXPECT_EQ(make_plugin(EndpointAttributeScorer::kSpec, with({})).scorer->signal(), std::nullopt);
}

TEST(EndpointAttributeScorer, RefusesWhatDoesNotGoTogether) {
  const struct {
    Parameters parameters;
    std::string what;
  } cases[] = {
      {with({}, kLow, ""), "endpoint-attribute-scorer: attributeKey is empty"},
      {with({}, kLow, "load/mine"), "endpoint-attribute-scorer: attributeKey is \"load/mine\" and producer is not set"},
      {with({}, "linear"),
       "endpoint-attribute-scorer: algorithm.type is \"linear\"; expected one of linear_lower_is_better, "
       "linear_higher_is_better"},
      {with({{kMin, 0.0}, {kMax, 1.0}, {kAdaptive, true}}),
       "endpoint-attribute-scorer: algorithm.normalization has both fixedRange and adaptiveRange"},
      {with({{kMin, 1.0}, {kMax, 1.0}}),
       "endpoint-attribute-scorer: fixedRange goes from 1 to 1; expected min below max"},
      {with({{kMin, 1.0}}), "endpoint-attribute-scorer: fixedRange goes from 1 to 0; expected min below max"},
      {parameters_of({{"algorithm.type", kLow}}), "endpoint-attribute-scorer needs the parameter \"attributeKey\""},
      {parameters_of({{"attributeKey", std::string{"load"}}}),
       "endpoint-attribute-scorer needs the parameter \"algorithm.type\""},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal(EndpointAttributeScorer::kSpec, c.parameters), c.what);
}

}  // namespace
}  // namespace llmd::scheduling
