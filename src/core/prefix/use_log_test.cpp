#include "prefix/use_log.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/budget.h"
#include "prefix/index_memory.h"

namespace llmd {
namespace {

/// One endpoint's log and the mark of each of its blocks, as PrefixIndex has them.
struct Log {
  Budget budget{"log", std::size_t{64} << 20U};
  IndexMemory memory{budget};
  UseLog log{memory};
  std::unordered_map<std::uint64_t, std::uint16_t> marks{};
  std::uint64_t looked_at = 0;

  Log() { log.add_slot(); }

  void use(std::uint64_t hash) {
    ASSERT_NE(log.open(0), UseLog::kNone);
    ASSERT_TRUE(log.push(0, hash));
    log.uses(0).blocks += marks.contains(hash) ? 0 : 1;
    marks[hash] = log.generation(log.uses(0).newest).mark;
  }
  void renew() {
    const auto keep = [&](std::uint64_t hash, std::uint16_t mark, std::uint16_t new_mark) {
      ++looked_at;
      std::uint16_t& its = marks.at(hash);
      if (its != mark) return false;
      its = new_mark;
      return true;
    };
    log.renew(0, keep, [](std::uint64_t) {});
  }
  std::size_t generations() const {
    std::size_t count = 0;
    for (std::uint32_t each = log.uses(0).oldest; each != UseLog::kNone; each = log.generation(each).link) ++count;
    return count;
  }
  /// In the order in which they would be forgotten.
  std::vector<std::uint64_t> empty() {
    std::vector<std::uint64_t> order;
    while (log.uses(0).oldest != UseLog::kNone) {
      const std::uint32_t oldest = log.uses(0).oldest;
      const std::uint16_t mark = log.generation(oldest).mark;
      while (log.generation(oldest).entries > 0) {
        const std::uint64_t hash = log.pop(oldest);
        if (marks.at(hash) == mark) order.push_back(hash);
      }
      log.drop_oldest(0);
    }
    return order;
  }
};

// An endpoint that is used now and then among busy ones has a generation for each use.
TEST(UseLog, RenewsManySmallGenerationsOnlyNowAndThen) {
  constexpr std::uint64_t kBlocks = 40'000;
  Log each;
  for (std::uint64_t hash = 1; hash <= kBlocks; ++hash) {
    each.use(hash);
    if (hash % 3 == 0) each.use(hash / 2);  // its older entry is stale
    if (each.log.wants_renewal(0)) each.renew();
  }
  EXPECT_LT(each.looked_at, 8 * kBlocks);
  EXPECT_TRUE(each.log.check_integrity());
  EXPECT_LT(each.generations(), 0x4000U + 2'100U);
  EXPECT_EQ(each.log.uses(0).blocks, kBlocks);
}

TEST(UseLog, ForgetsInTheSameOrderWhenSmallGenerationsWereJoined) {
  constexpr std::uint64_t kBlocks = 0x4000;
  Log each;
  for (std::uint64_t hash = 1; hash <= kBlocks; ++hash) each.use(hash);
  ASSERT_TRUE(each.log.wants_renewal(0));
  each.renew();
  EXPECT_LE(each.generations(), kBlocks / 16);
  EXPECT_FALSE(each.log.wants_renewal(0));
  ASSERT_TRUE(each.log.check_integrity());
  const std::vector<std::uint64_t> order = each.empty();
  ASSERT_EQ(order.size(), kBlocks);
  for (std::uint64_t i = 0; i < kBlocks; ++i) ASSERT_EQ(order[i], i + 1);
}

}  // namespace
}  // namespace llmd
