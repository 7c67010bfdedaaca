#include "kvpolicy/block_lru.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "base/rng.h"

namespace llmd::kvpolicy {
namespace {

BlockId name(std::uint8_t number) {
  BlockId id;
  id.bytes[0] = number;
  return id;
}

std::vector<int> evict_all(BlockLru& lru) {
  std::vector<int> order;
  while (const auto victim = lru.evict()) order.push_back(victim->id.bytes[0]);
  return order;
}

TEST(BlockLru, DropsOldestLeafFirstWhenBudgetIsFull) {
  BlockLru lru{100};
  const auto root = lru.insert(name(1), std::nullopt, 10);
  lru.insert(name(2), lru.insert(name(3), root, 10), 10);
  lru.insert(name(4), root, 10);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{2, 3, 4, 1}));
}

TEST(BlockLru, KeepsTheWholeChainOfWhatWasJustUsed) {
  BlockLru lru{100};
  const auto old_root = lru.insert(name(1), std::nullopt, 10);
  const auto old_leaf = lru.insert(name(2), old_root, 10);
  lru.insert(name(4), lru.insert(name(3), std::nullopt, 10), 10);
  lru.touch(old_leaf);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{4, 3, 2, 1}));
}

TEST(BlockLru, DropsADeadChainAsAWhole) {
  BlockLru lru{100};
  std::optional<BlockLru::Index> dead, live;
  for (std::uint8_t i = 0; i < 3; ++i) {
    dead = lru.insert(name(i), dead, 10);
    live = lru.insert(name(static_cast<std::uint8_t>(10 + i)), live, 10);
  }
  EXPECT_EQ(evict_all(lru), (std::vector<int>{2, 1, 0, 12, 11, 10})) << "a chain's head is not newer than its last use";
}

TEST(BlockLru, KeepsAHeadThatWasUsedWithoutItsTail) {
  BlockLru lru{100};
  const auto head = lru.insert(name(1), std::nullopt, 10);
  lru.insert(name(2), head, 10);
  lru.insert(name(3), std::nullopt, 10);
  lru.touch(head);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{2, 3, 1}));
}

TEST(BlockLru, ACopyGoesOnByItself) {
  BlockLru lru{100};
  const auto head = lru.insert(name(1), std::nullopt, 10);
  lru.insert(name(2), head, 10);
  lru.insert(name(3), std::nullopt, 10);
  lru.pin(head);
  BlockLru copy{lru};
  EXPECT_TRUE(copy.check_integrity());
  lru.unpin(head);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{2, 3, 1}));
  EXPECT_EQ(lru.size(), 0U);
  EXPECT_EQ(copy.find(name(2)).has_value(), true) << "what it holds is its own";
  EXPECT_TRUE(copy.pinned(head));
  EXPECT_EQ(evict_all(copy), (std::vector<int>{2, 3}));
  EXPECT_TRUE(copy.check_integrity());
}

TEST(BlockLru, NeverDropsWhatIsPinnedNorWhatItBuildsOn) {
  BlockLru lru{100};
  const auto root = lru.insert(name(1), std::nullopt, 10);
  const auto leaf = lru.insert(name(2), root, 10);
  lru.insert(name(3), root, 10);
  lru.pin(leaf);
  lru.pin(leaf);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{3}));
  lru.unpin(leaf);
  EXPECT_FALSE(lru.evict().has_value());
  lru.unpin(leaf);
  EXPECT_EQ(evict_all(lru), (std::vector<int>{2, 1}));
  EXPECT_EQ(lru.bytes(), 0U);
}

TEST(BlockLru, CountsBytesExactly) {
  BlockLru lru{100};
  EXPECT_TRUE(lru.fits(100));
  EXPECT_FALSE(lru.fits(101));
  lru.insert(name(1), std::nullopt, 60);
  EXPECT_TRUE(lru.fits(40));
  EXPECT_FALSE(lru.fits(41));
  EXPECT_EQ(lru.evict()->bytes, 60U);
  EXPECT_TRUE(lru.fits(100));
}

TEST(BlockLru, ReusesIndexesSoThatAnArrayBesideStaysSmall) {
  BlockLru lru{30};
  for (std::uint8_t i = 0; i < 200; ++i) {
    if (!lru.fits(10)) {
      ASSERT_TRUE(lru.evict().has_value());
    }
    lru.insert(name(i), std::nullopt, 10);
  }
  EXPECT_EQ(lru.index_end(), 3U);
}

/// Oracle: a list of blocks with the step of their last use, searched from end to end.
struct NaiveLru {
  struct Block {
    int id = 0, parent = -1, pins = 0;
    std::size_t bytes = 0;
    std::uint64_t used = 0;
  };
  std::vector<Block> blocks{};
  std::uint64_t step = 0;

  Block* find(int id) {
    for (Block& block : blocks) {
      if (block.id == id) return &block;
    }
    return nullptr;
  }
  std::optional<int> evict() {
    Block* victim = nullptr;
    for (Block& block : blocks) {
      const bool leaf =
          std::none_of(blocks.begin(), blocks.end(), [&](auto& other) { return other.parent == block.id; });
      if (leaf && block.pins == 0 && (victim == nullptr || block.used < victim->used)) victim = &block;
    }
    if (victim == nullptr) return std::nullopt;
    const Block gone = *victim;
    if (Block* parent = find(gone.parent)) parent->used = std::max(parent->used, gone.used);
    std::erase_if(blocks, [&](auto& block) { return block.id == gone.id; });
    return gone.id;
  }
};

std::vector<std::uint64_t> test_seeds() {
  if (const char* seed = std::getenv("LLMD_SEED")) return {std::strtoull(seed, nullptr, 10)};
  std::vector<std::uint64_t> seeds(40);
  for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i] = i + 1;
  return seeds;
}

/// One random operation on both.
void random_step(BlockLru& lru, NaiveLru& naive, Rng& rng) {
  ++naive.step;
  const int id = static_cast<int>(rng.below(24));
  const auto index = lru.find(name(static_cast<std::uint8_t>(id)));
  NaiveLru::Block* block = naive.find(id);
  ASSERT_EQ(index.has_value(), block != nullptr);
  switch (rng.below(5)) {
    case 0:
      if (!index) break;
      lru.touch(*index);
      block->used = naive.step;
      break;
    case 1:
      if (!index || block->pins == 3) break;
      lru.pin(*index);
      ++block->pins;
      break;
    case 2:
      if (!index || block->pins == 0) break;
      lru.unpin(*index);
      if (--block->pins == 0) block->used = naive.step;
      break;
    default:
      if (index) break;
      const std::size_t bytes = 1 + rng.below(3);
      const int parent = static_cast<int>(rng.below(24));
      while (!lru.fits(bytes)) {
        const auto victim = lru.evict();
        const auto expected = naive.evict();
        ASSERT_EQ(victim.has_value(), expected.has_value());
        if (!victim) return;
        ASSERT_EQ(victim->id.bytes[0], *expected);
      }
      const auto parent_index = lru.find(name(static_cast<std::uint8_t>(parent)));
      lru.insert(name(static_cast<std::uint8_t>(id)), parent_index, bytes);
      naive.blocks.push_back({id, parent_index ? parent : -1, 0, bytes, naive.step});
  }
}

TEST(BlockLru, AgreesWithNaiveLruOnAnyOperations) {
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    BlockLru lru{6 + rng.below(20)};  // tiny, so that eviction is the common case
    NaiveLru naive;
    for (int step = 0; step < 2'000; ++step) {
      ASSERT_NO_FATAL_FAILURE(random_step(lru, naive, rng)) << "step " << step;
      ASSERT_TRUE(lru.check_integrity()) << "step " << step;
      ASSERT_EQ(lru.size(), naive.blocks.size());
    }
  }
}

}  // namespace
}  // namespace llmd::kvpolicy
