#include "simulation/policies/block_holders.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

std::vector<std::uint32_t> depths(const BlockHolders& holders, const std::vector<std::uint64_t>& blocks) {
  std::vector<std::uint32_t> result(3, 99);
  holders.depths(blocks, result);
  return result;
}

TEST(BlockHolders, CountsFirstBlocksWithoutAGap) {
  BlockHolders holders;
  for (const std::uint64_t block : {1U, 2U, 3U}) holders.add(block, 0);
  for (const std::uint64_t block : {1U, 3U}) holders.add(block, 1);
  for (const std::uint64_t block : {2U, 3U}) holders.add(block, 2);
  EXPECT_EQ(depths(holders, {1, 2, 3, 4}), (std::vector<std::uint32_t>{3, 1, 0}));
  EXPECT_EQ(depths(holders, {}), (std::vector<std::uint32_t>{0, 0, 0}));
}

TEST(BlockHolders, HoldsEachOnceHoweverOftenItIsTold) {
  BlockHolders holders;
  EXPECT_TRUE(holders.add(1, 0));
  EXPECT_FALSE(holders.add(1, 0));
  EXPECT_TRUE(holders.remove(1, 0));
  EXPECT_FALSE(holders.remove(1, 0));
  EXPECT_EQ(depths(holders, {1}), (std::vector<std::uint32_t>{0, 0, 0}));
}

TEST(BlockHolders, ForgetsAnEndpointAndNoOther) {
  BlockHolders holders;
  for (std::uint64_t block = 1; block <= 500; ++block) {
    holders.add(block, 0);
    if (block % 2 == 1) holders.add(block, 1);
  }
  holders.remove_endpoint(0);
  EXPECT_EQ(depths(holders, {1, 3, 5, 7}), (std::vector<std::uint32_t>{0, 4, 0}));
  EXPECT_EQ(depths(holders, {2}), (std::vector<std::uint32_t>{0, 0, 0}));
}

TEST(BlockHolders, KeepsNoPlaceBeyondItsRange) {
  BlockHolders holders;
  EXPECT_TRUE(holders.add(1, 65'535));
  EXPECT_FALSE(holders.add(2, 65'536));
  EXPECT_EQ(depths(holders, {1}), (std::vector<std::uint32_t>{0, 0, 0})) << "a row that is shorter is no harm";
}

}  // namespace
}  // namespace llmd::simulation
