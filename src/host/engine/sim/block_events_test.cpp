#include "engine/sim/block_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmd::engine {
namespace {

using simulation::BlockChange;
using testing::ElementsAre;

const std::vector<std::uint64_t> kBlocks{11, 12, 13};
const std::vector<TokenId> kTokens{1, 2, 3, 4, 5, 6, 7};

std::optional<BlockSource> source_of(std::uint64_t request) {
  if (request > 2) return std::nullopt;
  return BlockSource{kBlocks, kTokens, request == 2 ? "salt" : ""};
}

BlockChange stored(std::uint64_t request, std::uint32_t index) {
  return {.block = kBlocks[index], .stored = true, .index = index, .request = request};
}

TEST(BlockEvents, JoinBlocksThatFollowOneAnotherInAChain) {
  const BlockChange changes[] = {stored(1, 1), stored(1, 2)};
  EXPECT_THAT(
      block_events(changes, 2, source_of),
      ElementsAre(KvEvent{BlocksStored{.blocks = {12, 13}, .parent = 11, .tokens = {3, 4, 5, 6}, .block_tokens = 2}}));
}

TEST(BlockEvents, KeepTheOrderOfRemovalsAndChains) {
  const BlockChange changes[] = {stored(1, 0), {.block = 9}, stored(1, 1), stored(2, 2), stored(2, 0), {.block = 8}};
  const auto one = [](std::uint64_t block, std::optional<std::uint64_t> parent, std::vector<TokenId> tokens,
                      std::string salt) {
    return KvEvent{BlocksStored{.blocks = {block},
                                .parent = parent,
                                .tokens = std::move(tokens),
                                .block_tokens = 2,
                                .cache_salt = std::move(salt)}};
  };
  EXPECT_THAT(
      block_events(changes, 2, source_of),
      ElementsAre(one(11, std::nullopt, {1, 2}, ""), KvEvent{BlockRemoved{9}}, one(12, 11, {3, 4}, ""),
                  one(13, 12, {5, 6}, "salt"), one(11, std::nullopt, {1, 2}, "salt"), KvEvent{BlockRemoved{8}}));
}

TEST(BlockEvents, LeaveOutWhatNobodyKnows) {
  const BlockChange changes[] = {stored(3, 0), {.block = 9}};
  EXPECT_THAT(block_events(changes, 2, source_of), ElementsAre(KvEvent{BlockRemoved{9}}));
  EXPECT_TRUE(block_events({}, 2, source_of).empty());
}

}  // namespace
}  // namespace llmd::engine
