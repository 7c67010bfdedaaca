#include "scheduling/scorers/cache_heat_scorer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/scheduler.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::kNow;
using testing::PluginScene;

std::vector<float> scores(float heat, std::vector<std::uint64_t> blocks) {
  const std::string model(1, 'm');
  PluginScene scene{{{.name = "all"}, {.name = "half"}, {.name = "none"}}, model};
  scene.request.prefix = {.hashes = std::move(blocks), .block_tokens = 64};
  scene.matched_blocks = {4, 2, 0};
  PluginInput input = scene.input();
  input.prefix_heat = heat;
  std::vector<float> result(3);
  CacheHeatScorer{4}.score(input, scene.candidates, result);
  return result;
}

TEST(CacheHeatScorer, WeighsTheMatchByHowHotThePrefixIs) {
  EXPECT_EQ(scores(0, {1, 2, 3, 4}), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(scores(4, {1, 2, 3, 4}), (std::vector<float>{0.5F, 0.25F, 0}));
  EXPECT_FLOAT_EQ(scores(396, {1, 2, 3, 4})[0], 0.99F);
  EXPECT_EQ(scores(4, {}), (std::vector<float>{0, 0, 0}));
}

TEST(CacheHeatScorer, SeesTheUsesThatTheIndexWasTold) {
  const std::string type{CacheHeatScorer::kSpec.type};
  SchedulingConfig config;
  config.plugins.push_back({.type = type});
  // No profile: all plugins make one.
  const auto scheduler = Scheduler::make(config).value();
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a"}, {.name = "b"}});
  Budget budget{"prefix", std::size_t{1} << 20U};
  PrefixIndex index{{}, budget};
  RequestFacts request{.model = type.substr(0, 0)};
  request.prefix = {.hashes = {1, 2}, .block_tokens = 64};
  Rng rng{1};
  DecisionScratch scratch;
  Explanation explanation;
  const auto decide = [&] {
    return scheduler.decide({.request = request, .snapshot = snapshot, .index = index, .now = kNow}, rng, scratch,
                            &explanation);
  };
  const Decision first = decide();
  for (int i = 0; i < 4; ++i) remember(first, request.prefix, index, kNow);
  EXPECT_EQ(decide().decode, first.decode);
  EXPECT_FLOAT_EQ(explanation.profiles.at(0).candidates.at(0).total, 0.5F) << "four recent uses";
}

}  // namespace
}  // namespace llmd::scheduling
