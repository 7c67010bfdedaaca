#include "base/stable_sort.h"

#include <gtest/gtest.h>

#include <utility>

namespace llmd {
namespace {

TEST(StableSort, LeavesEqualsInTheirOrder) {
  std::vector<std::pair<int, int>> items;
  for (int i = 0; i < 100; ++i) items.emplace_back((i * 7) % 5, i);
  stable_sort(items, [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 1; i < items.size(); ++i) EXPECT_LT(items[i - 1], items[i]);
  std::vector<std::pair<int, int>> none;
  stable_sort(none, [](const auto& a, const auto& b) { return a.first < b.first; });
  EXPECT_TRUE(none.empty());
}

}  // namespace
}  // namespace llmd
