#include "simulation/workloads/block_chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace llmd::simulation {
namespace {

std::vector<std::uint64_t> names(std::uint32_t block_tokens, std::initializer_list<Text> texts) {
  BlockChain chain{block_tokens};
  for (const Text text : texts) chain.append(text);
  return chain.blocks();
}

std::size_t shared(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

TEST(BlockChain, SharesExactlyTheWholeBlocksOfWhatIsShared) {
  struct Case {
    const char* name;
    std::vector<std::uint64_t> a;
    std::vector<std::uint64_t> b;
    std::size_t shared;
  };
  const Case cases[] = {
      {"ends with a block", names(16, {{1, 64}, {2, 50}}), names(16, {{1, 64}, {3, 50}}), 4},
      {"ends within a block", names(16, {{1, 70}, {2, 50}}), names(16, {{1, 70}, {3, 50}}), 4},
      {"goes on in one", names(16, {{1, 70}, {2, 50}}), names(16, {{1, 120}}), 4},
      {"another text first", names(16, {{9, 1}, {1, 64}}), names(16, {{1, 64}}), 0},
      {"the same again", names(16, {{1, 70}, {2, 50}}), names(16, {{1, 70}, {2, 50}}), 7},
      {"the same texts cut elsewhere", names(16, {{1, 70}, {2, 50}}), names(16, {{1, 71}, {2, 50}}), 4},
      {"shorter than a block", names(16, {{1, 15}, {2, 50}}), names(16, {{1, 15}, {3, 50}}), 0},
  };
  for (const Case& test : cases) EXPECT_EQ(shared(test.a, test.b), test.shared) << test.name;
}

TEST(BlockChain, NamesEachBlockOnceAndNeverZero) {
  const auto all = names(16, {{1, 16'000}, {1, 16'000}, {2, 160}});
  EXPECT_EQ(all.size(), 2'010U);
  EXPECT_EQ(std::set<std::uint64_t>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(std::ranges::count(all, 0U), 0);
}

TEST(BlockChain, TakesEmptyTextsAndBlocksOfNoTokens) {
  EXPECT_EQ(names(0, {{1, 3}, {2, 0}}).size(), 3U);
  EXPECT_TRUE(names(16, {}).empty());
  EXPECT_TRUE(names(16, {{1, 0}}).empty());
}

}  // namespace
}  // namespace llmd::simulation
