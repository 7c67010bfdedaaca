#include "model/block_id.h"

#include <gtest/gtest.h>

#include <numeric>
#include <unordered_set>

namespace llmd {
namespace {

std::vector<TokenId> counting_tokens(std::size_t count) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 1);
  return tokens;
}

TEST(BlockChain, NamesOnlyFullBlocks) {
  const auto tokens = counting_tokens(70);
  EXPECT_EQ(block_chain({}, tokens, 32).size(), 2U);
  EXPECT_TRUE(block_chain({}, std::span{tokens}.first(31), 32).empty());
}

TEST(BlockChain, AgreesWhetherMadeAtOnceOrGrown) {
  const auto tokens = counting_tokens(96);
  const auto ids = block_chain({}, tokens, 32);
  BlockChain chain{{}};
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(chain.extend(std::span{tokens}.subspan(i * 32, 32)), ids[i]);
}

TEST(BlockChain, DiffersAfterTheFirstDifferentTokenAndByWholeScope) {
  auto tokens = counting_tokens(96);
  const auto ids = block_chain({}, tokens, 32);
  tokens[40] = 7'777;
  const auto changed = block_chain({}, tokens, 32);
  EXPECT_EQ(ids[0], changed[0]);
  EXPECT_NE(ids[1], changed[1]);
  EXPECT_NE(ids[2], changed[2]);  // its own tokens are equal, its parent is not

  Digest256 other_model{};
  other_model[0] = 1;
  const std::vector<BlockScope> scopes{{},
                                       {.model_fingerprint = other_model},
                                       {.adapter = "ab"},
                                       {.tenant_salt = "ab"},
                                       {.adapter = "a", .tenant_salt = "b"}};
  std::unordered_set<BlockId> first_ids;
  for (const BlockScope& scope : scopes) first_ids.insert(block_chain(scope, counting_tokens(32), 32)[0]);
  EXPECT_EQ(first_ids.size(), scopes.size());
}

}  // namespace
}  // namespace llmd
