#include "simulation/policies/routed_prefix_tree.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

using Blocks = std::vector<std::uint64_t>;

TEST(RoutedPrefixTree, MatchesTheLongestPrefixThatWasSent) {
  RoutedPrefixTree tree;
  tree.insert(Blocks{1, 2, 3}, 4);
  tree.insert(Blocks{1, 2, 30, 40}, 5);
  struct Case {
    Blocks prompt;
    std::uint32_t blocks;
    std::uint32_t worker;
  };
  const std::vector<Case> cases{
      {{}, 0, kNoEndpoint}, {{9}, 0, kNoEndpoint}, {{1, 2, 3, 9}, 3, 4}, {{1, 2, 30, 40}, 4, 5}, {{2, 3}, 2, 4},
  };
  for (const Case& each : cases) {
    const auto match = tree.match(each.prompt);
    EXPECT_EQ(match.blocks, each.blocks);
    EXPECT_EQ(match.worker, each.worker);
  }
}

TEST(RoutedPrefixTree, CountsWhatWasSentAlsoIfItWasThere) {
  RoutedPrefixTree tree;
  tree.insert(Blocks{1, 2, 3}, 0);
  tree.insert(Blocks{1, 2, 3}, 0);
  EXPECT_EQ(tree.size_of(0), 6U);
  EXPECT_EQ(tree.blocks(), 3U);
  EXPECT_EQ(tree.size_of(7), 0U);
}

TEST(RoutedPrefixTree, ComesToRememberWhoUsesABlockMost) {
  RoutedPrefixTree tree;
  tree.insert(Blocks{1}, 0);
  EXPECT_EQ(tree.match(Blocks{1}).worker, 0U);
  for (int i = 0; i < 40; ++i) tree.insert(Blocks{1}, 1);
  EXPECT_EQ(tree.match(Blocks{1}).worker, 1U);
}

TEST(RoutedPrefixTree, EvictsTheLeastRecentlyUsedLeavesOfWhoHoldsTooMuch) {
  RoutedPrefixTree tree;
  tree.insert(Blocks{1, 2, 3}, 0);
  tree.insert(Blocks{1, 5, 6}, 0);
  tree.insert(Blocks{1, 2, 3}, 1);
  tree.evict(3);
  EXPECT_EQ(tree.size_of(0), 3U) << "6 counted, 3 taken: 3, then 2 behind it, then 6";
  EXPECT_EQ(tree.size_of(1), 3U);
  EXPECT_EQ(tree.match(Blocks{1, 2, 3}).worker, 1U) << "who held no more than allowed keeps all";
  const auto rest = tree.match(Blocks{1, 5, 6});
  EXPECT_EQ(rest.blocks, 2U);
  EXPECT_EQ(rest.worker, 0U);
  EXPECT_EQ(tree.blocks(), 4U);
}

TEST(RoutedPrefixTree, CanForgetAll) {
  RoutedPrefixTree tree;
  tree.insert(Blocks{1, 2, 3}, 0);
  tree.insert(Blocks{1, 2, 3}, 0);
  tree.evict(0);
  EXPECT_EQ(tree.blocks(), 0U);
  EXPECT_EQ(tree.match(Blocks{1}).worker, kNoEndpoint);
}

}  // namespace
}  // namespace llmd::simulation
