#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using ::testing::ElementsAre;
using testing::EndpointSpec;
using testing::GivenParameters;
using ::testing::IsNan;
using testing::made_scorer;
using testing::PluginScene;
using testing::refusal;

/// One endpoint for each value of the label; without it for an empty one.
struct LabelScene : PluginScene {
  LabelScene(const std::string& label, const std::vector<std::string>& values) : PluginScene{specs_of(label, values)} {}
  static std::vector<EndpointSpec> specs_of(const std::string& label, const std::vector<std::string>& values) {
    std::vector<EndpointSpec> specs;
    for (const std::string& value : values) {
      specs.push_back({.name = fmt::format("{}", specs.size())});
      if (!value.empty()) specs.back().labels.emplace(label, value);
    }
    return specs;
  }
};

std::vector<std::string> headers_of(const Scorer& scorer) {
  std::vector<std::string> names;
  scorer.headers_read(names);
  return names;
}

TEST(SlaMatchScorer, ComparesTheLabelWithTheHeader) {
  LabelScene scene("llm-d.ai/sla-class", {"gold", "silver", "", " gold ", "Gold"});
  const auto scorer = made_scorer("sla-match-scorer");
  EXPECT_THAT(headers_of(*scorer), ElementsAre("x-llm-d-sla-class"));
  scene.request.headers = {{"x-llm-d-sla-class", "gold"}};
  EXPECT_THAT(scene.scores(*scorer), ElementsAre(1.0F, 0.0F, 0.5F, 1.0F, 0.0F));
  for (const char* nothing : {"", "  "}) {
    scene.request.headers = {{"x-llm-d-sla-class", nothing}};
    EXPECT_THAT(scene.scores(*scorer), ::testing::Each(0.5F));
  }
  scene.request.headers.clear();
  EXPECT_THAT(scene.scores(*scorer), ::testing::Each(0.5F));
  EXPECT_TRUE(PluginScene{{}}.scores(*scorer).empty());
}

TEST(SlaMatchScorer, TakesOtherNamesInAnyCase) {
  LabelScene scene("tier", {"a", "b"});
  const auto scorer = made_scorer("sla-match-scorer", {{"label", "tier"}, {"header", "X-Tier"}});
  scene.request.headers = {{"x-tier", "b"}};
  EXPECT_THAT(scene.scores(*scorer), ElementsAre(0.0F, 1.0F));
}

TEST(ModelVersionScorer, PrefersTheHeaderToTheConfiguredVersion) {
  LabelScene scene("llm-d.ai/model-version", {"v1", "v2", ""});
  const auto unset = made_scorer("model-version-scorer");
  const auto first = made_scorer("model-version-scorer", {{"version", "v1"}});
  EXPECT_THAT(headers_of(*first), ElementsAre("x-llm-d-model-version"));
  EXPECT_THAT(scene.scores(*unset), ::testing::Each(IsNan()));
  EXPECT_THAT(scene.scores(*first), ElementsAre(1.0F, 0.0F, IsNan()));
  scene.request.headers = {{"x-llm-d-model-version", "v2"}};
  EXPECT_THAT(scene.scores(*unset), ElementsAre(0.0F, 1.0F, IsNan()));
  EXPECT_THAT(scene.scores(*first), ElementsAre(0.0F, 1.0F, IsNan()));
  EXPECT_TRUE(PluginScene{{}}.scores(*first).empty());
}

TEST(PriorityScorer, KeepsReservedEndpointsForThoseWhoMayUseThem) {
  LabelScene scene("llm-d.ai/priority-min", {"", "0", "10", "99999999999", "high"});
  const auto scorer = made_scorer("priority-scorer");
  const struct {
    std::int32_t priority;
    std::vector<float> scores;
  } cases[] = {
      {10, {0.5F, 1.0F, 1.0F, 0.0F, 0.5F}},
      {9, {0.5F, 1.0F, 0.0F, 0.0F, 0.5F}},
      {-1, {1.0F, 0.0F, 0.0F, 0.0F, 1.0F}},
  };
  for (const auto& c : cases) {
    scene.request.priority = c.priority;
    EXPECT_EQ(scene.scores(*scorer), c.scores) << c.priority;
  }
  EXPECT_TRUE(PluginScene{{}}.scores(*scorer).empty());
}

TEST(PriorityScorer, OpensTheOthersFullyIfNoReservedCandidateIsLeft) {
  LabelScene scene("llm-d.ai/priority-min", {"", "5"});
  scene.request.priority = 7;
  scene.candidates = {0};
  EXPECT_THAT(scene.scores(*made_scorer("priority-scorer")), ElementsAre(1.0F));
}

TEST(PriorityScorer, TakesItsScoresFromTheConfiguration) {
  LabelScene scene("floor", {"", "-5", "5"});
  const auto scorer = made_scorer("priority-scorer", {{"label", "floor"}, {"belowScore", 0.25}, {"openScore", 0.75}});
  EXPECT_THAT(scene.scores(*scorer), ElementsAre(0.75F, 1.0F, 0.25F));
}

TEST(ZoneScorer, PrefersTheZoneThenTheRegion) {
  const auto place = [](const char* zone, const char* region) {
    EndpointSpec spec{.name = fmt::format("{}/{}", zone, region)};
    if (*zone != 0) spec.labels.emplace("topology.kubernetes.io/zone", zone);
    if (*region != 0) spec.labels.emplace("topology.kubernetes.io/region", region);
    return spec;
  };
  const PluginScene scene{{place("z1", "r1"), place("z2", "r1"), place("z1", "r2"), place("z3", "r2"), place("z1", ""),
                           place("z2", ""), place("", "r1"), place("", "r2"), place("", "")}};
  const struct {
    GivenParameters parameters;
    std::vector<float> scores;  // -1: no data
  } cases[] = {
      {{{"zone", "z1"}, {"region", "r1"}}, {1, 0.5F, 0, 0, 1, 0, 0.5F, 0, -1}},
      {{{"zone", "z1"}, {"region", "r1"}, {"regionScore", 0.25}}, {1, 0.25F, 0, 0, 1, 0, 0.25F, 0, -1}},
      {{{"zone", "z1"}}, {1, 0, 1, 0, 1, 0, -1, -1, -1}},
      {{{"region", " r1 "}}, {0.5F, 0.5F, 0, 0, -1, -1, 0.5F, 0, -1}},
  };
  for (const auto& c : cases) {
    std::vector<float> scores = scene.scores(*made_scorer("zone-scorer", c.parameters));
    for (float& score : scores) score = std::isnan(score) ? -1 : score;
    EXPECT_EQ(scores, c.scores);
  }
  EXPECT_TRUE(PluginScene{{}}.scores(*made_scorer("zone-scorer", {{"zone", "z1"}})).empty());
}

TEST(LabelScorers, RefuseWhatDoesNotGoTogether) {
  const struct {
    std::string_view type;
    GivenParameters parameters;
    std::string_view what;
  } cases[] = {
      {"sla-match-scorer", {{"label", " "}}, "sla-match-scorer: label or header is empty"},
      {"sla-match-scorer", {{"header", ""}}, "sla-match-scorer: label or header is empty"},
      {"model-version-scorer", {{"label", ""}}, "model-version-scorer: label or header is empty"},
      {"model-version-scorer", {{"header", " "}}, "model-version-scorer: label or header is empty"},
      {"priority-scorer", {{"label", ""}}, "priority-scorer: label is empty"},
      {"priority-scorer", {{"belowScore", 0.75}}, "priority-scorer: belowScore is 0.75, above openScore, which is 0.5"},
      {"priority-scorer", {{"openScore", 1.5}}, "priority-scorer: openScore is 1.5; expected a number from 0 to 1"},
      {"zone-scorer", {{"zone", " "}}, "zone-scorer: neither zone nor region is given"},
      {"zone-scorer",
       {{"zone", "z"}, {"regionScore", -1.0}},
       "zone-scorer: regionScore is -1; expected a number from 0 to 1"},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal(c.type, c.parameters), c.what);
}

}  // namespace
}  // namespace llmd::scheduling
