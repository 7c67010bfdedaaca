#include "prefix/holder_table.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "base/budget.h"
#include "prefix/index_memory.h"

namespace llmd {
namespace {

// Behind the last home there is room for some 24 words: a table with more of them has to spread them.
TEST(HolderTable, GrowsUntilTagsThatCrowdTheLastHomeFit) {
  Budget budget{"table", std::size_t{1} << 20U};
  IndexMemory memory{budget};
  HolderTable table{0, 1, memory};
  std::vector<std::uint64_t> crowd;
  for (std::uint64_t hash = 1; crowd.size() < 200; ++hash) {
    if (table.place(hash).tag >= 0xf800'0000U) crowd.push_back(hash);
  }
  for (const std::uint64_t hash : crowd) {
    ASSERT_TRUE(table.add(hash, 3, 0));
    ASSERT_TRUE(table.check_integrity());
  }
  for (const std::uint64_t hash : crowd) EXPECT_TRUE(table.remove(hash, 3));
  EXPECT_EQ(table.pairs(), 0U);
}

}  // namespace
}  // namespace llmd
