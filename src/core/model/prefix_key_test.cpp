#include "model/prefix_key.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "base/hash.h"

namespace llmd {
namespace {

TEST(PrefixKey, SharesLinksUpToTheFirstDifferentBlock) {
  std::vector<TokenId> tokens(200);
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto key = make_prefix_key(tokens, {.model = "m"});
  ASSERT_EQ(key.hashes.size(), 4U);  // three full blocks of 64 and the partial last one
  tokens[70] = 9'999;
  const auto changed = make_prefix_key(tokens, {.model = "m"});
  EXPECT_EQ(key.hashes[0], changed.hashes[0]);
  EXPECT_NE(key.hashes[1], changed.hashes[1]);
  EXPECT_NE(key.hashes[3], changed.hashes[3]);
}

// The chain of scheduling spec 3.5, written out for one block.
TEST(PrefixKey, FollowsLlmdsChainByteForByte) {
  const std::vector<TokenId> tokens{1, 2, 3};
  const std::uint64_t root = xxh64(std::string_view{"modelsalt"});
  const std::uint64_t block = xxh64(std::as_bytes(std::span{tokens}));
  const std::array<std::uint64_t, 2> link{block, root};
  const auto key = make_prefix_key(tokens, {.model = "model", .cache_salt = "salt"});
  ASSERT_EQ(key.hashes.size(), 1U);
  EXPECT_EQ(key.hashes[0], xxh64(std::as_bytes(std::span{link})));
}

TEST(PrefixKey, IsBoundedByBlocksMax) {
  const std::vector<TokenId> tokens(1'000, 5);
  EXPECT_EQ(make_prefix_key(tokens, {.model = "m", .block_tokens = 16, .blocks_max = 10}).hashes.size(), 10U);
}

TEST(PrefixKey, OfBlocksHasTheBeginningsOfTheVeryBlockIds) {
  std::vector<TokenId> tokens(100);
  std::iota(tokens.begin(), tokens.end(), 0);
  const BlockScope scope{.model_fingerprint = {1, 2}, .tenant_salt = "salt"};
  const std::vector<BlockId> ids = block_chain(scope, tokens, 32);
  const PrefixKey key = make_block_key(scope, tokens, 32, 2'048);
  EXPECT_TRUE(key.whole_blocks);
  ASSERT_EQ(key.hashes.size(), 3U) << "whole blocks only";
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(key.hashes[i], std::hash<BlockId>{}(ids[i])) << i;
  EXPECT_EQ(make_block_key(scope, tokens, 32, 2).hashes.size(), 2U);
}

TEST(EstimateTokens, PacksFourBytesATokenAndPadsTheLast) {
  EXPECT_EQ(estimate_tokens("abcde"), (std::vector<TokenId>{0x64636261, 0x65}));
  EXPECT_TRUE(estimate_tokens("").empty());
}

}  // namespace
}  // namespace llmd
