#include "kvstore/block_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/rng.h"

namespace llmd::kvstore {
namespace {

constexpr std::size_t kPage = 4'096;
constexpr std::size_t kBlockBytes = 512;

BlockId name(std::uint32_t number) {
  BlockId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

/// Bytes that only this block has.
std::vector<std::byte> content(const BlockId& id, std::size_t size = kBlockBytes) {
  Rng rng{std::hash<BlockId>{}(id) + 1};
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = std::byte(rng.next() & 0xFFU);
  return bytes;
}

bool holds_content(const BlockHandle& handle, const BlockId& id) {
  const auto expected = content(id);
  return std::equal(handle.bytes().begin(), handle.bytes().end(), expected.begin(), expected.end());
}

/// A store whose every block takes one page of the budget, so that its capacity is a number of blocks.
struct PagedStore {
  explicit PagedStore(std::size_t blocks)
      : budget{"kv_store", blocks * kPage}, store{{.block_bytes = kBlockBytes, .slab_bytes = 1}, budget} {}
  PutOutcome put(std::uint32_t id, std::optional<std::uint32_t> parent = std::nullopt) {
    const auto above = parent ? std::optional{name(*parent)} : std::nullopt;
    return store.put(name(id), above, content(name(id))).value();
  }
  /// Blocks first .. first + count - 1, each on the one before.
  std::vector<BlockId> put_chain(std::uint32_t first, std::uint32_t count) {
    std::vector<BlockId> ids;
    for (std::uint32_t i = 0; i < count; ++i) {
      put(first + i, i == 0 ? std::nullopt : std::optional{first + i - 1});
      ids.push_back(name(first + i));
    }
    return ids;
  }
  Budget budget;
  BlockStore store;
};

TEST(BlockStore, ReturnsTheBytesThatWerePut) {
  PagedStore paged{4};
  EXPECT_EQ(paged.put(1), PutOutcome::kStored);
  EXPECT_EQ(paged.put(2, 1), PutOutcome::kStored);
  EXPECT_TRUE(holds_content(paged.store.get(name(1)), name(1)));
  EXPECT_TRUE(holds_content(paged.store.get(name(2)), name(2)));
  EXPECT_FALSE(paged.store.get(name(3)));
  const auto stats = paged.store.stats();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.blocks, 2U);
  EXPECT_EQ(stats.pinned_blocks, 0U);
}

TEST(BlockStore, StoresABlockOnceHoweverOftenItIsPut) {
  PagedStore paged{4};
  paged.put(1);
  EXPECT_EQ(paged.put(1), PutOutcome::kPresent);
  EXPECT_EQ(paged.store.reserve(name(1), {}).outcome(), PutOutcome::kPresent);
  EXPECT_EQ(paged.store.stats().blocks, 1U);
  EXPECT_EQ(paged.store.stats().duplicates, 2U);
}

TEST(BlockStore, ShowsAReservedBlockOnlyOnceItIsCommitted) {
  PagedStore paged{4};
  auto reservation = paged.store.reserve(name(1), {});
  ASSERT_TRUE(reservation);
  ASSERT_EQ(reservation.bytes().size(), kBlockBytes);
  std::ranges::copy(content(name(1)), reservation.bytes().begin());
  EXPECT_FALSE(paged.store.contains(name(1)));
  const auto committed = paged.store.commit(std::move(reservation));
  EXPECT_EQ(committed.outcome, PutOutcome::kStored);
  EXPECT_TRUE(holds_content(committed.handle, name(1)));
  EXPECT_TRUE(paged.store.contains(name(1)));
}

TEST(BlockStore, TakesBackABufferThatIsNeverCommitted) {
  PagedStore paged{1};
  {
    auto dropped = paged.store.reserve(name(1), {});
  }
  EXPECT_FALSE(paged.store.contains(name(1)));
  EXPECT_EQ(paged.put(2), PutOutcome::kStored);
  EXPECT_TRUE(paged.store.check_integrity());
}

TEST(BlockStore, KeepsTheFirstOfTwoReservationsOfOneBlock) {
  PagedStore paged{4};
  auto first = paged.store.reserve(name(1), {});
  auto second = paged.store.reserve(name(1), {});
  std::ranges::copy(content(name(1)), first.bytes().begin());
  std::ranges::fill(second.bytes(), std::byte{0});
  EXPECT_EQ(paged.store.commit(std::move(first)).outcome, PutOutcome::kStored);
  const auto late = paged.store.commit(std::move(second));
  EXPECT_EQ(late.outcome, PutOutcome::kPresent);
  EXPECT_TRUE(holds_content(late.handle, name(1)));
  EXPECT_TRUE(paged.store.check_integrity());
}

TEST(BlockStore, RefusesABlockThatNoMatchCouldReach) {
  PagedStore paged{4};
  EXPECT_EQ(paged.put(2, 1), PutOutcome::kNoParent);
  paged.put(1);
  auto child = paged.store.reserve(name(2), name(1));
  paged.store.clear();
  EXPECT_EQ(paged.store.commit(std::move(child)).outcome, PutOutcome::kNoParent);
  EXPECT_EQ(paged.store.stats().orphans, 2U);
  EXPECT_TRUE(paged.store.check_integrity());
}

TEST(BlockStore, MatchesTheLeadingBlocksOfAChain) {
  PagedStore paged{16};
  auto chain = paged.put_chain(1, 10);
  EXPECT_EQ(paged.store.match({}), 0U);
  for (std::size_t held = 0; held <= 10; ++held) {
    std::vector<BlockId> asked{chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(held)};
    for (std::uint32_t i = 0; i < 5; ++i) asked.push_back(name(100 + i));
    EXPECT_EQ(paged.store.match(asked), held);
    EXPECT_EQ(paged.store.get_leading(asked).size(), held);
  }
}

TEST(BlockStore, DropsTheTailOfWhatWasUsedLeastRecently) {
  PagedStore paged{6};
  const auto old_chain = paged.put_chain(1, 3);
  const auto young_chain = paged.put_chain(11, 3);
  EXPECT_EQ(paged.store.match(old_chain), 3U);  // now the young one is the older use
  paged.put_chain(21, 2);
  EXPECT_EQ(paged.store.match(old_chain), 3U);
  EXPECT_EQ(paged.store.match(young_chain), 1U);
  EXPECT_EQ(paged.store.stats().evictions, 2U);
}

TEST(BlockStore, NeverReusesMemoryThatAHandlePins) {
  PagedStore paged{2};
  paged.put(1);
  paged.put(2, 1);
  std::vector<BlockHandle> handles = paged.store.get_leading(std::vector{name(1), name(2)});
  EXPECT_EQ(paged.put(3), PutOutcome::kFull);
  handles.erase(handles.begin());
  EXPECT_EQ(paged.put(3), PutOutcome::kFull) << "block 2 builds on block 1";
  const BlockHandle copy = handles.front();
  handles.clear();
  EXPECT_EQ(paged.put(3), PutOutcome::kFull) << "a copy pins as well";
  EXPECT_TRUE(holds_content(copy, name(2)));
  EXPECT_EQ(paged.store.stats().refused, 3U);
}

TEST(BlockStore, DoesNotDropTheParentToMakeRoomForItsChild) {
  PagedStore paged{1};
  paged.put(1);
  EXPECT_EQ(paged.put(2, 1), PutOutcome::kFull);
  EXPECT_TRUE(paged.store.contains(name(1)));
}

TEST(BlockStore, KeepsTheBytesOfAHandleThatOutlivesIt) {
  Budget budget{"kv_store", 16 * kPage};
  BlockHandle kept;
  {
    BlockStore store{{.block_bytes = kBlockBytes}, budget};
    ASSERT_TRUE(store.put(name(1), {}, content(name(1))).has_value());
    ASSERT_TRUE(store.put(name(2), name(1), content(name(2))).has_value());
    kept = store.get(name(2));
  }
  EXPECT_TRUE(holds_content(kept, name(2)));
  EXPECT_GT(budget.used_bytes(), 0U);
  kept = {};
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(BlockStore, GivesAllMemoryBackWhenCleared) {
  PagedStore paged{8};
  paged.put_chain(1, 8);
  {
    const auto pin = paged.store.get(name(3));
    EXPECT_EQ(paged.store.clear(), 5U);
    EXPECT_TRUE(paged.store.contains(name(1)));
  }
  EXPECT_EQ(paged.store.clear(), 3U);
  EXPECT_EQ(paged.budget.used_bytes(), 0U);
}

TEST(BlockStore, RefusesABlockOfTheWrongSizeWithBothNumbers) {
  PagedStore paged{4};
  const auto result = paged.store.put(name(1), {}, std::vector<std::byte>(7));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(
      result.error().to_string(),
      "block_mismatch: a block of 7 bytes was put; this store's have 512 (both sides must run the same model with "
      "the same KV types and block size)");
}

TEST(BlockStore, StaysWholeWhicheverChargeTheBudgetRefuses) {
  constexpr std::uint32_t kPuts = 12;
  for (std::uint32_t failing = 0; failing <= kPuts; ++failing) {
    PagedStore paged{32};
    for (std::uint32_t i = 0; i < kPuts; ++i) {
      const std::size_t rest = paged.budget.limit_bytes() - paged.budget.used_bytes();
      const Charge hog = i == failing ? Charge{paged.budget, rest} : Charge{};
      const auto outcome = paged.put(i, i == 0 ? std::nullopt : std::optional{i - 1});
      const auto refused = failing < kPuts && i >= failing ? PutOutcome::kNoParent : PutOutcome::kStored;
      EXPECT_EQ(outcome, i == failing ? PutOutcome::kFull : refused) << "put " << i << ", failing " << failing;
      EXPECT_TRUE(paged.store.check_integrity());
    }
    for (std::uint32_t i = 0; i < std::min(failing, kPuts); ++i) {
      EXPECT_TRUE(holds_content(paged.store.get(name(i)), name(i)));
    }
    paged.store.clear();
    EXPECT_EQ(paged.budget.used_bytes(), 0U);
  }
}

/// Oracle: which blocks were put on which; eviction may drop any, but only with all that builds on it.
struct NaiveForest {
  std::map<std::uint32_t, std::optional<std::uint32_t>> parents{};

  std::vector<BlockId> chain(std::uint32_t leaf) const {
    std::vector<BlockId> ids;
    for (std::optional<std::uint32_t> id = leaf; id; id = parents.at(*id)) ids.push_back(name(*id));
    std::ranges::reverse(ids);
    return ids;
  }
};

TEST(BlockStore, HoldsAForestOfTrueBlocksAfterAnyOperations) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    PagedStore paged{4 + rng.below(12)};
    NaiveForest forest;
    std::vector<BlockHandle> pins;
    for (std::uint32_t step = 0; step < 600; ++step) {
      const auto known = static_cast<std::uint32_t>(rng.below(step + 1));
      const auto parent = forest.parents.contains(known) && rng.chance(0.8) ? std::optional{known} : std::nullopt;
      forest.parents.emplace(step, parent);
      paged.put(step, parent);
      const auto chain = forest.chain(static_cast<std::uint32_t>(rng.below(step + 1)));
      const std::size_t held = paged.store.match(chain);
      for (std::size_t i = 0; i < chain.size(); ++i) ASSERT_EQ(paged.store.contains(chain[i]), i < held);
      const auto handles = paged.store.get_leading(chain);
      ASSERT_EQ(handles.size(), held);
      for (std::size_t i = 0; i < held; ++i) ASSERT_TRUE(holds_content(handles[i], chain[i]));
      if (held > 0 && pins.size() < 3 && rng.chance(0.2)) pins.push_back(handles[rng.below(held)]);
      if (!pins.empty() && rng.chance(0.15)) pins.erase(pins.begin());
      ASSERT_TRUE(paged.store.check_integrity()) << "step " << step;
      ASSERT_LE(paged.budget.used_bytes(), paged.budget.limit_bytes());
    }
  }
}

TEST(BlockStore, GivesReadersWholeBlocksWhileAWriterEvicts) {
  PagedStore paged{24};
  constexpr std::uint32_t kChains = 8, kLength = 6;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> read{0}, wrong{0};
  const auto reader = [&](std::uint64_t seed) {
    Rng rng{seed};
    while (!stop.load(std::memory_order_relaxed)) {
      const auto first = static_cast<std::uint32_t>(rng.below(kChains)) * 100;
      std::vector<BlockId> chain;
      for (std::uint32_t i = 0; i < kLength; ++i) chain.push_back(name(first + i));
      auto handles = paged.store.get_leading(chain);
      std::ranges::reverse(handles);
      for (std::size_t i = 0; i < handles.size(); ++i) {
        wrong += holds_content(handles[i], chain[handles.size() - 1 - i]) ? 0 : 1;
        ++read;
      }
    }
  };
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) readers.emplace_back(reader, seed);
  Rng rng{99};
  for (int round = 0; round < 400 || (read == 0 && round < 100'000); ++round) {
    const auto first = static_cast<std::uint32_t>(rng.below(kChains)) * 100;
    paged.put_chain(first, kLength);
  }
  stop = true;
  for (auto& thread : readers) thread.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(read, 0U);
  EXPECT_GT(paged.store.stats().evictions, 0U);
  EXPECT_EQ(paged.store.stats().pinned_blocks, 0U);
  EXPECT_TRUE(paged.store.check_integrity());
}

TEST(BlockHandle, CopiesForeignBytesToMemoryOfItsOwn) {
  BlockHandle handle;
  {
    const auto bytes = content(name(5));
    handle = BlockHandle::copy_of(bytes);
  }
  const BlockHandle copy = handle;
  handle = {};
  EXPECT_TRUE(holds_content(copy, name(5)));
  EXPECT_FALSE(handle);
  EXPECT_TRUE(handle.bytes().empty());
}

TEST(BlockStore, HandlesKnowTheChecksumOfTheirBytes) {
  const std::vector<std::byte> bytes(64, std::byte{5});
  EXPECT_EQ(BlockHandle::copy_of(bytes).checksum(), checksum64(bytes));
  Budget budget{"test", 1U << 20U};
  BlockStore store{{.block_bytes = 64}, budget};
  ASSERT_TRUE(store.put(BlockId{}, std::nullopt, bytes).has_value());
  EXPECT_EQ(store.get(BlockId{}).checksum(), checksum64(bytes));
  EXPECT_EQ(store.get(BlockId{}).slab(), nullptr) << "not shareable unless asked for";
  BlockId other;
  other.bytes[0] = 1;
  Reservation reservation = store.reserve(other, std::nullopt);
  EXPECT_EQ(store.commit(std::move(reservation), 42).handle.checksum(), 42U) << "who received it has made it already";
}

}  // namespace
}  // namespace llmd::kvstore
