#include "kvtransfer/lease.h"

#include <gtest/gtest.h>

#include <map>

#include "kvstore/block_store.h"

namespace llmd::kvtransfer {
namespace {

constexpr std::size_t kBlockBytes = 64;
const TimePoint kStart{std::chrono::hours{1}};

BlockId name(std::uint8_t number) {
  BlockId id;
  id.bytes[0] = number;
  return id;
}

struct Prefill {
  Budget budget{"kv_store", 1U << 20U};
  kvstore::BlockStore store{{.block_bytes = kBlockBytes, .slab_bytes = 4'096}, budget};

  std::vector<LeasedBlock> chain(std::uint8_t first, std::uint8_t count) {
    std::vector<LeasedBlock> blocks;
    for (std::uint8_t i = 0; i < count; ++i) {
      const auto id = name(static_cast<std::uint8_t>(first + i));
      const auto parent = blocks.empty() ? std::nullopt : std::optional{blocks.back().id};
      EXPECT_TRUE(store.put(id, parent, std::vector<std::byte>(kBlockBytes)).has_value());
      blocks.push_back({id, store.get(id)});
    }
    return blocks;
  }
};

LeaseOptions options(std::size_t leases, std::size_t blocks) {
  return {.leases_max = leases, .bytes_max = blocks * kBlockBytes, .id_seed = 5};
}

TEST(LeaseTable, KeepsBlocksInTheStoreUntilReleased) {
  Prefill prefill;
  LeaseTable table{options(4, 100)};
  const auto lease = table.grant(prefill.chain(1, 3), kStart + seconds{10});
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(prefill.store.clear(), 0U);
  EXPECT_EQ(table.blocks_of(*lease, std::vector{name(1), name(2), name(3)}, kStart)->size(), 3U);
  EXPECT_TRUE(table.release(*lease));
  EXPECT_FALSE(table.release(*lease));
  EXPECT_EQ(prefill.store.clear(), 3U);
}

TEST(LeaseTable, GivesTheTailThatAPullerLacksUpToTheFirstBlockItDoesNotHold) {
  Prefill prefill;
  LeaseTable table{options(4, 100)};
  const LeaseId lease = table.grant(prefill.chain(1, 4), kStart + seconds{10}).value();
  EXPECT_EQ(table.blocks_of(lease, std::vector{name(3), name(4)}, kStart)->size(), 2U);
  EXPECT_EQ(table.blocks_of(lease, std::vector{name(3), name(9), name(4)}, kStart)->size(), 1U);
  EXPECT_EQ(table.blocks_of(lease, std::vector{name(4), name(3)}, kStart)->size(), 1U) << "not in chain order";
  EXPECT_EQ(table.blocks_of(lease, std::vector{name(1), name(1)}, kStart)->size(), 1U);
  EXPECT_TRUE(table.blocks_of(lease, {}, kStart)->empty());
}

TEST(LeaseTable, EndsLeasesAtTheirDeadlineAndSaysSo) {
  Prefill prefill;
  LeaseTable table{options(4, 100)};
  const LeaseId late = table.grant(prefill.chain(11, 2), kStart + seconds{20}).value();
  const LeaseId soon = table.grant(prefill.chain(1, 2), kStart + seconds{10}).value();
  EXPECT_EQ(table.next_deadline(), kStart + seconds{10});
  EXPECT_EQ(table.tick(kStart + seconds{9}), 0U);
  EXPECT_EQ(table.blocks_of(soon, {}, kStart + seconds{10}).error().code, ErrorCode::kLeaseExpired)
      << "before the tick";
  EXPECT_EQ(table.tick(kStart + seconds{10}), 1U);
  EXPECT_EQ(table.blocks_of(soon, {}, kStart + seconds{10}).error().code, ErrorCode::kLeaseExpired);
  EXPECT_EQ(table.blocks_of(LeaseId{77}, {}, kStart).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(table.blocks_of(late, {}, kStart + seconds{19}).has_value());
  EXPECT_EQ(prefill.store.stats().pinned_blocks, 2U);
  EXPECT_EQ(table.tick(kStart + seconds{100}), 1U);
  EXPECT_EQ(table.next_deadline(), std::nullopt);
  EXPECT_EQ(table.stats().expired, 2U);
}

TEST(LeaseTable, LetsATransferInProgressOutliveItsLease) {
  Prefill prefill;
  LeaseTable table{options(4, 100)};
  const LeaseId lease = table.grant(prefill.chain(1, 1), kStart + seconds{1}).value();
  const auto handles = table.blocks_of(lease, std::vector{name(1)}, kStart).value();
  table.tick(kStart + seconds{2});
  EXPECT_EQ(prefill.store.clear(), 0U);
  EXPECT_EQ(handles.at(0).bytes().size(), kBlockBytes);
}

TEST(LeaseTable, RefusesMoreLeasesOrBytesThanItsLimits) {
  Prefill prefill;
  LeaseTable table{options(2, 3)};
  EXPECT_TRUE(table.grant(prefill.chain(1, 2), kStart).has_value());
  const auto refused = table.grant(prefill.chain(11, 2), kStart);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(
      refused.error().to_string(),
      "overloaded: 1 leases pin 128 bytes, and 128 more are wanted; the limits are 2 and 192 (decode workers fetch "
      "too slowly or not at all; shorten the lease time)");
  EXPECT_EQ(prefill.store.stats().pinned_blocks, 2U);
  EXPECT_TRUE(table.grant(prefill.chain(21, 1), kStart).has_value());
  EXPECT_EQ(table.grant({}, kStart).error().code, ErrorCode::kOverloaded);
  EXPECT_EQ(table.stats().refused, 2U);
}

TEST(LeaseTable, AgreesWithAMapOfDeadlinesOnAnyOperations) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    Prefill prefill;
    LeaseTable table{{.leases_max = 6, .bytes_max = 12 * kBlockBytes, .id_seed = seed}};
    std::map<LeaseId, std::pair<TimePoint, std::size_t>> naive;
    TimePoint now = kStart;
    for (int step = 0; step < 400; ++step) {
      now += milliseconds{rng.below(500)};
      if (rng.chance(0.5)) {
        std::size_t held = 0;
        for (const auto& [id, lease] : naive) held += lease.second;
        const auto count = static_cast<std::uint8_t>(rng.below(5));
        const TimePoint deadline = now + milliseconds{1 + rng.below(5'000)};
        const auto lease = table.grant(prefill.chain(1, count), deadline);
        ASSERT_EQ(lease.has_value(), naive.size() < 6 && held + count <= 12);
        if (lease) naive[*lease] = {deadline, count};
      } else if (!naive.empty() && rng.chance(0.5)) {
        const auto gone = std::next(naive.begin(), static_cast<std::ptrdiff_t>(rng.below(naive.size())));
        ASSERT_TRUE(table.release(gone->first));
        naive.erase(gone);
      }
      ASSERT_EQ(table.tick(now), std::erase_if(naive, [&](const auto& lease) { return lease.second.first <= now; }));
      ASSERT_EQ(table.stats().leases, naive.size());
      ASSERT_TRUE(table.check_integrity());
    }
    table.tick(now + seconds{10});
    EXPECT_EQ(prefill.store.stats().pinned_blocks, 0U);
  }
}

}  // namespace
}  // namespace llmd::kvtransfer
