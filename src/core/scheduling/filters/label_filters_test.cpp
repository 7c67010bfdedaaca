#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/filters/by_label.h"
#include "scheduling/filters/encode_filter.h"
#include "scheduling/filters/label_selector_filter.h"
#include "scheduling/filters/label_syntax.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::GivenParameters;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;
using testing::try_make;
using Names = std::vector<std::string>;
using namespace std::string_literals;

TEST(EncodeFilter, KeepsTheRolesThatEncode) {
  const struct {
    std::string role;
    bool encodes;
  } cases[] = {{"", false},       {"encode", true},          {"encode-prefill", true},
               {"both", false},   {"prefill-decode", false}, {"encode-prefill-decode", true},
               {"decode", false}, {"prefill", false},        {"Encode", false}};
  for (const auto& c : cases) {
    const PluginScene scene{{{.name = "a", .role = c.role}}};
    EXPECT_EQ(scene.kept(EncodeFilter{}).size(), c.encodes ? 1U : 0U) << c.role;
  }
}

TEST(EncodeFilter, SaysWhatItSawAndWanted) {
  const PluginScene scene{{{.name = "a", .role = "decode"}, {.name = "b"}}};
  EXPECT_EQ(scene.reason(EncodeFilter{}, 0), "llm-d.ai/role is decode; wanted one that encodes");
  EXPECT_EQ(scene.reason(EncodeFilter{}, 1), "llm-d.ai/role is absent; wanted one that encodes");
}

const std::vector<testing::EndpointSpec> kPool{
    {.name = "front", .labels = {{"app", "web"}, {"tier", "front"}}},
    {.name = "back", .labels = {{"app", "db"}, {"tier", "back"}, {"old", ""}}},
    {.name = "bare", .labels = {}},
};

TEST(ByLabel, KeepsTheListedValuesAndThoseWithoutIfAllowed) {
  const PluginScene scene{kPool};
  EXPECT_EQ(scene.kept(ByLabel{{.label = "tier", .values = {"front", "x"}}}), Names{"front"});
  EXPECT_EQ(scene.kept(ByLabel{{.label = "tier", .values = {"front"}, .allows_no_label = true}}),
            (Names{"front", "bare"}));
  EXPECT_EQ(scene.kept(ByLabel{{.label = "tier", .values = {}, .allows_no_label = true}}), Names{"bare"});
  // As a Go map gives "" for what it does not have.
  EXPECT_EQ(scene.kept(ByLabel{{.label = "tier", .values = {""}}}), Names{"bare"});
  EXPECT_EQ(scene.reason(ByLabel{{.label = "tier", .values = {"front", "x"}, .allows_no_label = true}}, 1),
            "tier is back; wanted front, x, or none");
  EXPECT_EQ(scene.reason(ByLabel{{.label = "tier", .values = {}, .allows_no_label = true}}, 1),
            "tier is back; wanted none");
}

TEST(ByLabel, RefusesWhatNothingCanPass) {
  EXPECT_EQ(refusal("by-label", {}), "by-label needs the parameter \"label\"");
  EXPECT_EQ(refusal("by-label", {{"label", ""s}, {"validValues", TextList{"a"}}}),
            "by-label: label is empty; expected a label's name");
  EXPECT_EQ(refusal("by-label", {{"label", "app"s}}),
            "by-label: no endpoint can pass without validValues and allowsNoLabel");
  EXPECT_EQ(refusal("by-label", {{"label", "app"s}, {"allowsNoLabel", true}}), "");
}

GivenParameters expression(const std::string& key, const std::string& op, TextList values) {
  return {
      {"matchExpressions", ObjectList{parameters_of({{"key", key}, {"operator", op}, {"values", std::move(values)}})}}};
}

TEST(LabelSelectorFilter, MatchesAsKubernetesDoes) {
  const struct {
    std::string name;
    GivenParameters settings;
    Names kept;
  } cases[] = {
      {"nothing asked", {}, {"front", "back", "bare"}},
      {"one label", {{"matchLabels", TextMap{{"app", "web"}}}}, {"front"}},
      {"two labels", {{"matchLabels", TextMap{{"app", "web"}, {"tier", "back"}}}}, {}},
      {"an empty value is not an absent label", {{"matchLabels", TextMap{{"old", ""}}}}, {"back"}},
      {"In", expression("tier", "In", {"front", "back"}), {"front", "back"}},
      {"NotIn keeps those without", expression("tier", "NotIn", {"front"}), {"back", "bare"}},
      {"Exists", expression("old", "Exists", {}), {"back"}},
      {"DoesNotExist", expression("tier", "DoesNotExist", {}), {"bare"}},
  };
  const PluginScene scene{kPool};
  for (const auto& c : cases) {
    for (const std::string_view type : {"label-selector-filter", "by-label-selector"}) {
      const MadePlugin made = try_make(type, c.settings);
      ASSERT_TRUE(made.has_value()) << c.name;
      EXPECT_EQ(scene.kept(*made->filter), c.kept) << c.name << " " << type;
    }
  }
}

TEST(LabelSelectorFilter, NamesTheFirstRequirementThatDoesNotHold) {
  using Filter = LabelSelectorFilter;
  const PluginScene scene{kPool};
  const Filter filter{{{.key = "app", .op = LabelRequirement::Operator::kExists},
                       {.key = "tier", .op = LabelRequirement::Operator::kIn, .values = {"front", "mid"}}}};
  EXPECT_EQ(scene.reason(filter, 1), "tier is back; wanted front or mid");
  EXPECT_EQ(scene.reason(filter, 2), "app is absent; wanted any value");
  EXPECT_EQ(scene.reason(Filter{{{.key = "app", .op = LabelRequirement::Operator::kDoesNotExist}}}, 0),
            "app is web; wanted none");
  EXPECT_EQ(scene.reason(Filter{{{.key = "app", .op = LabelRequirement::Operator::kNotIn, .values = {"web"}}}}, 0),
            "app is web; wanted not web");
}

TEST(LabelSelectorFilter, RefusesWhatKubernetesRefuses) {
  const struct {
    std::string name;
    GivenParameters settings;
    std::string what;
  } cases[] = {
      {"key", {{"matchLabels", TextMap{{"-app", "web"}}}}, "label-selector-filter: \"-app\" is not a label's name"},
      {"value", {{"matchLabels", TextMap{{"app", "a b"}}}}, "label-selector-filter: \"a b\" is not a label's value"},
      {"In without values", expression("app", "In", {}), "label-selector-filter: In of label app has 0 values"},
      {"Exists with one", expression("app", "Exists", {"a"}),
       "label-selector-filter: Exists of label app has 1 values"},
      {"operator", expression("app", "Gt", {"1"}),
       "label-selector-filter: matchExpressions: operator is \"Gt\"; expected one of In, NotIn, Exists, DoesNotExist"},
      {"no key",
       {{"matchExpressions", ObjectList{parameters_of({{"operator", "Exists"s}})}}},
       "label-selector-filter: matchExpressions needs the parameter \"key\""},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal("label-selector-filter", c.settings), c.what) << c.name;
}

TEST(LabelSyntax, TakesWhatKubernetesTakes) {
  const struct {
    std::string text;
    bool key;
    bool value;
  } cases[] = {
      {"app", true, true},
      {"", false, true},
      {"a.b-c_D9", true, true},
      {"9", true, true},
      {"a-", false, false},
      {".a", false, false},
      {"llm-d.ai/role", true, false},
      {"LLM.ai/role", false, false},
      {"a..b/role", false, false},
      {"-a.b/role", false, false},
      {"a.b/", false, false},
      {"/role", false, false},
      {"a/b/c", false, false},
      {std::string(63, 'a'), true, true},
      {std::string(64, 'a'), false, false},
      {std::string(253, 'a') + "/b", true, false},
      {std::string(254, 'a') + "/b", false, false},
      {"a\xC3\xA9z", false, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(is_label_key(c.text), c.key) << c.text;
    EXPECT_EQ(is_label_value(c.text), c.value) << c.text;
  }
}

}  // namespace
}  // namespace llmd::scheduling
