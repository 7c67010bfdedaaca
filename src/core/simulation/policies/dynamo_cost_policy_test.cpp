#include "simulation/policies/dynamo_cost_policy.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "simulation/policies/testing/scene.h"

namespace llmd::simulation {
namespace {

using testing::Scene;
using Terms = DynamoCostPolicy::Terms;
using Options = DynamoCostPolicy::Options;

TEST(DynamoCostPolicy, CostsWhatTheFormulaSays) {
  struct Case {
    Terms terms;
    Options options;
    double cost;
  };
  const Terms busy{.active_prefill_tokens = 320,
                   .prompt_tokens = 168,
                   .block_tokens = 16,
                   .overlap_blocks = 4,
                   .active_blocks = 50,
                   .new_blocks = 7};
  const std::array cases{
      Case{{.prompt_tokens = 160, .block_tokens = 16, .new_blocks = 10}, {}, 20.0},
      Case{busy, {}, (320 + 168) / 16.0 - 4 + 57},
      Case{busy, {.overlap_score_credit = 0.5}, 30.5 - 2 + 57},
      Case{busy, {.prefill_load_scale = 2}, 2 * 26.5 + 57},
      Case{busy, {.prefill_load_scale = 0}, 57},
      // More overlap than there is to compute does not earn anything.
      Case{{.prompt_tokens = 16, .block_tokens = 16, .overlap_blocks = 3, .active_blocks = 5}, {}, 5.0},
  };
  for (const Case& each : cases) EXPECT_DOUBLE_EQ(DynamoCostPolicy::cost(each.terms, each.options), each.cost);
}

TEST(DynamoCostPolicy, WeighsCachedBlocksAgainstBusyOnes) {
  DynamoCostPolicy policy{{}};
  Scene scene{2};
  ASSERT_TRUE(policy.wants_block_events());
  for (const std::uint64_t block : {1U, 2U, 3U}) policy.block_stored(0, block);
  // 0: (64 - 3 * 16) / 16 + 4 = 5; 1: 64 / 16 + 4 = 8.
  scene.prompt({1, 2, 3, 4});
  EXPECT_EQ(scene.choose(policy), 0U);
  // Four other blocks under way at 0: 9 against 8.
  Scene other{2};
  other.prompt({11, 12, 13, 14});
  policy.sent(other.input(), {.decode = 0});
  EXPECT_EQ(scene.choose(policy), 1U);
  // The same four blocks twice count once, and those of the prompt that are under way at 1 are not new there.
  policy.sent(other.input(), {.decode = 0});
  policy.sent(scene.input(), {.decode = 1});
  scene.live[1].tokens = 16;  // 1: (64 + 16) / 16 + 4 + 0 = 9, as 0
  std::array<int, 2> chosen{};
  for (int i = 0; i < 1'000; ++i) ++chosen.at(scene.choose(policy));
  EXPECT_NEAR(chosen[0], 500, 70) << "ties at random";
  scene.live[1].tokens = 17;
  EXPECT_EQ(scene.choose(policy), 0U);
}

TEST(DynamoCostPolicy, ForgetsWhatEndedAndWhatWasEvicted) {
  DynamoCostPolicy policy{{}};
  Scene scene{2};
  scene.prompt({1, 2});
  policy.block_stored(0, 1);
  policy.sent(scene.input(), {.decode = 0});
  Scene other{2};
  other.prompt({11});
  EXPECT_EQ(other.choose(policy), 1U);
  policy.finished({.id = scene.id, .endpoint = 0}, scene.now);
  EXPECT_EQ(scene.choose(policy), 0U) << "idle, and holds the first block";
  policy.block_removed(0, 1);
  policy.block_stored(1, 1);
  EXPECT_EQ(scene.choose(policy), 1U);
}

TEST(DynamoCostPolicy, ForgetsALostEndpoint) {
  DynamoCostPolicy policy{{}};
  Scene scene{2};
  scene.prompt({1, 2});
  policy.block_stored(0, 1);
  policy.block_stored(0, 2);
  policy.sent(scene.input(), {.decode = 0});
  policy.endpoint_lost(0);
  policy.block_stored(1, 1);
  EXPECT_EQ(scene.choose(policy), 1U);
}

TEST(DynamoCostPolicy, SamplesByCostWithATemperature) {
  DynamoCostPolicy policy{{.router_temperature = 1.0}};
  Scene scene{3};
  scene.prompt({1});
  scene.live[1].tokens = 16;
  scene.live[2].tokens = 32;  // costs 2, 3 and 4: weights 1, e^-0.5 and e^-1
  std::array<int, 3> chosen{};
  for (int i = 0; i < 10'000; ++i) ++chosen.at(scene.choose(policy));
  const double total = 1 + std::exp(-0.5) + std::exp(-1.0);
  EXPECT_NEAR(chosen[0], 10'000 / total, 200);
  EXPECT_NEAR(chosen[1], 10'000 * std::exp(-0.5) / total, 200);
  EXPECT_NEAR(chosen[2], 10'000 * std::exp(-1.0) / total, 200);
}

TEST(DynamoCostPolicy, SamplesEvenlyWhenAllCostTheSame) {
  DynamoCostPolicy policy{{.router_temperature = 0.5}};
  Scene scene{2};
  scene.prompt({1});
  std::array<int, 2> chosen{};
  for (int i = 0; i < 1'000; ++i) ++chosen.at(scene.choose(policy));
  EXPECT_NEAR(chosen[0], 500, 70);
}

}  // namespace
}  // namespace llmd::simulation
