#include "simulation/policies/active_prompts.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

using Blocks = std::vector<std::uint64_t>;

std::uint32_t depth(const ActivePrompts& active, const Blocks& blocks) {
  std::vector<std::uint32_t> result(1);
  active.depths(blocks, result);
  return result[0];
}

TEST(ActivePrompts, CountsSharedBlocksOnceUntilTheLastOfThemEnds) {
  ActivePrompts active;
  active.add(0, 1, Blocks{1, 2});
  active.add(0, 2, Blocks{1, 2, 3});
  EXPECT_EQ(active.blocks(0), 3U);
  EXPECT_EQ(active.blocks(1), 0U);
  active.remove(0, 1);
  EXPECT_EQ(active.blocks(0), 3U);
  EXPECT_EQ(depth(active, {1, 2, 9}), 2U);
  active.remove(0, 2);
  EXPECT_EQ(active.blocks(0), 0U);
  EXPECT_EQ(depth(active, {1, 2, 9}), 0U);
  active.remove(0, 2);  // nothing is left to end
}

TEST(ActivePrompts, ForgetsAnEndpoint) {
  ActivePrompts active;
  active.add(0, 1, Blocks{1, 2});
  active.remove_endpoint(0);
  active.remove_endpoint(5);
  EXPECT_EQ(active.blocks(0), 0U);
  EXPECT_EQ(depth(active, {1, 2}), 0U);
}

}  // namespace
}  // namespace llmd::simulation
