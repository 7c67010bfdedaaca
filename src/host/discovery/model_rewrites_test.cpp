#include "discovery/model_rewrites.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

namespace llmd::discovery {
namespace {

InferenceModelRewrite rewrite(const std::string& name, const std::string& created, std::vector<RewriteRule> rules) {
  return {.name = name, .pool = {}, .created = created, .rules = std::move(rules)};
}

RewriteRule rule(std::vector<std::string> models, const std::string& target) {
  return {.models = std::move(models), .targets = {{.model = target, .weight = {}}}};
}

std::string chosen(const ModelRewrites& rewrites, std::string_view model) {
  Rng chance{1};
  const auto choice = rewrites.choose(model, chance);
  return choice ? fmt::format("{}:{}", choice->rewrite, choice->model) : "none";
}

TEST(ModelRewrites, ExactComesBeforeAllAndOlderBeforeNewer) {
  ModelRewrites rewrites;
  ASSERT_TRUE(rewrites.put(rewrite("new", "2026-12-02T00:00:00Z", {rule({"m"}, "from-new"), rule({}, "all-new")})));
  ASSERT_TRUE(
      rewrites.put(rewrite("old", "2026-12-01T00:00:00Z", {rule({}, "all-old"), rule({"n", "m"}, "from-old")})));
  rewrites.index();
  EXPECT_EQ(chosen(rewrites, "m"), "old:from-old");
  EXPECT_EQ(chosen(rewrites, "n"), "old:from-old");
  EXPECT_EQ(chosen(rewrites, "x"), "old:all-old");
  rewrites.remove("old");
  rewrites.index();
  EXPECT_EQ(chosen(rewrites, "m"), "new:from-new");
  EXPECT_EQ(chosen(rewrites, "n"), "new:all-new");
}

TEST(ModelRewrites, OfOneSecondTheNameDecides) {
  ModelRewrites rewrites;
  ASSERT_TRUE(rewrites.put(rewrite("b", "2026-12-01T00:00:00Z", {rule({"m"}, "1")})));
  ASSERT_TRUE(rewrites.put(rewrite("a", "2026-12-01T00:00:00Z", {rule({"m"}, "2"), rule({"m"}, "3")})));
  rewrites.index();
  EXPECT_EQ(chosen(rewrites, "m"), "a:2");
}

TEST(ModelRewrites, NoRuleLeavesTheModel) {
  ModelRewrites rewrites;
  rewrites.index();
  EXPECT_EQ(chosen(rewrites, "m"), "none");
  ASSERT_TRUE(rewrites.put(rewrite("r", "", {{.models = {}, .targets = {}}, rule({"n"}, "t")})));
  rewrites.index();
  EXPECT_EQ(chosen(rewrites, "m"), "none");
}

std::map<std::string, int> shares(std::vector<RewriteTarget> targets) {
  ModelRewrites rewrites;
  EXPECT_TRUE(rewrites.put(rewrite("r", "", {{.models = {}, .targets = std::move(targets)}})));
  rewrites.index();
  Rng chance{7};
  std::map<std::string, int> counts;
  for (int i = 0; i < 10'000; ++i) ++counts[std::string{rewrites.choose("m", chance)->model}];
  return counts;
}

TEST(ModelRewrites, TargetsAreChosenByTheirWeights) {
  auto counts = shares({{.model = "a", .weight = 9}, {.model = "b", .weight = 1}});
  EXPECT_NEAR(counts["a"], 9'000, 200);
  EXPECT_NEAR(counts["b"], 1'000, 200);
  counts = shares({{.model = "a", .weight = {}}, {.model = "b", .weight = {}}});
  EXPECT_NEAR(counts["a"], 5'000, 300);
  counts = shares({{.model = "a", .weight = {}}, {.model = "b", .weight = 1}});
  EXPECT_EQ(counts["b"], 10'000);
  counts = shares({{.model = "a", .weight = 1'000'000}, {.model = "b", .weight = 1'000'000}});
  EXPECT_NEAR(counts["a"], 5'000, 300);
}

TEST(ModelRewrites, ACopyIsWhole) {
  ModelRewrites rewrites;
  ASSERT_TRUE(rewrites.put(rewrite("r", "", {rule({}, "t")})));
  rewrites.index();
  const ModelRewrites copy = rewrites;
  rewrites.clear();
  EXPECT_EQ(chosen(copy, "m"), "r:t");
  EXPECT_EQ(chosen(rewrites, "m"), "none");
}

}  // namespace
}  // namespace llmd::discovery
