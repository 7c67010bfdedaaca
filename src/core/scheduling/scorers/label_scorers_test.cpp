#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "scheduling/scorers/context_length_aware.h"
#include "scheduling/scorers/header_label_affinity_scorer.h"
#include "scheduling/scorers/mm_embeddings_cache_scorer.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::EndpointSpec;
using testing::make_plugin;
using testing::parameters_of;
using testing::PluginScene;
using testing::refusal;

const std::string kRangeLabel = "llm-d.ai/context-length-range";

TEST(ContextRange, ReadsTwoWholeNumbersWithADash) {
  const struct {
    std::string text;
    bool good;
    std::uint64_t min;
    std::uint64_t max;
  } cases[] = {{"0-2048", true, 0, 2'048},
               {" 5 - +7 ", true, 5, 7},
               {"9-9", true, 9, 9},
               {"", false, 0, 0},
               {"-", false, 0, 0},
               {"5", false, 0, 0},
               {"5-", false, 0, 0},
               {"-5-9", false, 0, 0},
               {"1-2-3", false, 0, 0},
               {"9-8", false, 0, 0},
               {"1-2k", false, 0, 0},
               {"1-1e3", false, 0, 0},
               {"1-99999999999999999999", false, 0, 0}};
  for (const auto& c : cases) {
    const auto range = ContextRange::parse(c.text);
    ASSERT_EQ(range.has_value(), c.good) << c.text;
    if (!range) continue;
    EXPECT_EQ(range->min, c.min) << c.text;
    EXPECT_EQ(range->max, c.max) << c.text;
  }
}

TEST(ContextRange, PrefersNarrowRangesWithRoomAndFallsOffOutside) {
  const struct {
    ContextRange range;
    std::uint64_t tokens;
    double score;
  } cases[] = {
      {{0, 10'000}, 0, 0.3 + 0.7 * (0.7 * 0.5 + 0.3)},  // as much room as can be
      {{0, 10'000}, 10'000, 0.3 + 0.7 * (0.7 * 0.5)},   // no room
      {{0, 10'000}, 5'000, 0.3 + 0.7 * (0.7 * 0.5 + 0.3 * 0.5)},
      {{0, 30'000}, 15'000, 0.3 + 0.7 * (0.7 * 0.25 + 0.15)},  // wider
      {{500, 500}, 500, 1.0},
      {{0, 1'000}, 2'000, 0.15},       // 1,000 above
      {{4'000, 5'000}, 1'000, 0.075},  // 3,000 below
  };
  for (const auto& c : cases) EXPECT_NEAR(c.range.score(c.tokens), c.score, 1e-6) << c.tokens;
}

struct RangeScene : PluginScene {
  RangeScene()
      : PluginScene{{{.name = "short", .labels = {{kRangeLabel, "0-1000"}}},
                     {.name = "long", .labels = {{kRangeLabel, "1000-11000"}}},
                     {.name = "any"},
                     {.name = "bad", .labels = {{kRangeLabel, "many"}}},
                     {.name = "empty", .labels = {{kRangeLabel, ""}}}}} {
    request.prompt_tokens = 6'000;
  }
};

TEST(ContextLengthAware, ScoresUnlabelledInTheMiddleAndBadLabelsZero) {
  const PluginObjects plugin = make_plugin(ContextLengthAwareScorer::kSpec);
  EXPECT_EQ(plugin.filter, nullptr);
  const std::vector<float> scores = RangeScene{}.scores(*plugin.scorer);
  EXPECT_NEAR(scores[0], 0.05, 1e-6);  // 0.3 / (1 + 5)
  EXPECT_NEAR(scores[1], 0.65, 1e-6);  // 0.3 + 0.7 * (0.35 + 0.15)
  EXPECT_EQ(scores[2], 0.5F);
  EXPECT_EQ(scores[3], 0.0F);
  EXPECT_EQ(scores[4], 0.0F);
}

TEST(ContextLengthAware, FiltersWhenToldTo) {
  const PluginObjects plugin = make_plugin(ContextLengthAwareScorer::kSpec, parameters_of({{"enableFiltering", true}}));
  ASSERT_NE(plugin.filter, nullptr);
  ASSERT_NE(plugin.scorer, nullptr);
  RangeScene scene;
  EXPECT_EQ(scene.kept(*plugin.filter), (std::vector<std::string>{"long", "any"}));
  EXPECT_EQ(scene.reason(*plugin.filter, 0), "6000 tokens in the prompt; the endpoint is for 0 to 1000");
  EXPECT_EQ(scene.reason(*plugin.filter, 3), "label llm-d.ai/context-length-range is no range; wanted min-max");
  scene.request.prompt_tokens = 1'000;  // both ends belong to a range
  EXPECT_EQ(scene.kept(*plugin.filter), (std::vector<std::string>{"short", "long", "any"}));
  scene.candidates.clear();
  EXPECT_TRUE(scene.kept(*plugin.filter).empty());
}

TEST(ContextLengthAware, ReadsTheLabelThatItIsToldAndRefusesNone) {
  const PluginObjects plugin =
      make_plugin(ContextLengthAwareScorer::kSpec, parameters_of({{"label", std::string{"range"}}}));
  const PluginScene scene{{{.name = "a", .labels = {{"range", "0-0"}}}}};
  EXPECT_EQ(scene.scores(*plugin.scorer), std::vector<float>{1.0F});
  EXPECT_EQ(refusal(ContextLengthAwareScorer::kSpec, parameters_of({{"label", std::string{}}})),
            "context-length-aware: label is empty");
}

TEST(HeaderLabelAffinityScorer, ScoresOneWhereTheLabelHasTheHeadersValue) {
  const PluginObjects plugin =
      make_plugin(HeaderLabelAffinityScorer::kSpec,
                  parameters_of({{"headerName", std::string{"X-Tier"}}, {"labelKey", std::string{"tier"}}}));
  PluginScene scene{{{.name = "gold", .labels = {{"tier", "gold"}}},
                     {.name = "tin", .labels = {{"tier", "tin"}}},
                     {.name = "empty", .labels = {{"tier", ""}}},
                     {.name = "none"}}};
  const struct {
    std::string header;
    std::vector<float> scores;
  } cases[] = {{"gold", {1, 0, 0, 0}}, {"tin", {0, 1, 0, 0}}, {"Gold", {0, 0, 0, 0}}, {"", {0, 0, 0, 0}}};
  for (const auto& c : cases) {
    scene.request.headers = {{"x-tier", c.header}};
    EXPECT_EQ(scene.scores(*plugin.scorer), c.scores) << c.header;
  }
  scene.request.headers = {};
  EXPECT_EQ(scene.scores(*plugin.scorer), (std::vector<float>{0, 0, 0, 0}));
  std::vector<std::string> names;
  plugin.scorer->headers_read(names);
  EXPECT_EQ(names, std::vector<std::string>{"x-tier"});
}

TEST(HeaderLabelAffinityScorer, RefusesToMissEitherName) {
  const PluginSpec& spec = HeaderLabelAffinityScorer::kSpec;
  EXPECT_EQ(refusal(spec, parameters_of({{"labelKey", std::string{"l"}}})),
            "header-label-affinity-scorer needs the parameter \"headerName\"");
  EXPECT_EQ(refusal(spec, parameters_of({{"headerName", std::string{"h"}}})),
            "header-label-affinity-scorer needs the parameter \"labelKey\"");
  EXPECT_EQ(refusal(spec, parameters_of({{"headerName", std::string{" "}}, {"labelKey", std::string{"l"}}})),
            "header-label-affinity-scorer: headerName is empty");
  EXPECT_EQ(refusal(spec, parameters_of({{"headerName", std::string{"h"}}, {"labelKey", std::string{}}})),
            "header-label-affinity-scorer: labelKey is empty");
}

TEST(MmEmbeddingsCacheScorer, IsTheMatchedShareOfTheMediasWeight) {
  PluginScene scene{{{.name = "all"}, {.name = "some"}, {.name = "none"}}};
  scene.request.media = {{.hash = 1, .weight = 300}, {.hash = 2, .weight = 100}};
  scene.media_matched = {400, 100, 0};
  const PluginObjects plugin = make_plugin(MmEmbeddingsCacheScorer::kSpec);
  EXPECT_EQ(scene.scores(*plugin.scorer), (std::vector<float>{1.0F, 0.25F, 0.0F}));
}

TEST(MmEmbeddingsCacheScorer, IsZeroWithoutMediaAndHasNoDataWithoutAProducer) {
  PluginScene scene{{{.name = "a"}}};
  scene.media_matched = {0};
  EXPECT_EQ(scene.scores(MmEmbeddingsCacheScorer{}), std::vector<float>{0.0F});
  scene.request.media = {{.hash = 1, .weight = 300}};
  scene.media_matched = {};
  EXPECT_TRUE(std::isnan(scene.scores(MmEmbeddingsCacheScorer{})[0]));
}

}  // namespace
}  // namespace llmd::scheduling
