#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/rng.h"
#include "scheduling/pickers/max_score_picker.h"
#include "scheduling/pickers/random_picker.h"
#include "scheduling/pickers/weighted_random_picker.h"

namespace llmd::scheduling {
namespace {

std::size_t first_of(const Picker& picker, const std::vector<float>& totals, Rng& rng) {
  std::vector<PickKey> keys(totals.size());
  picker.rank(totals, rng, keys);
  const auto best = std::max_element(keys.begin(), keys.end(), [](const PickKey& a, const PickKey& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.tie < b.tie;
  });
  return static_cast<std::size_t>(best - keys.begin());
}

std::array<int, 3> counts_of(const Picker& picker, const std::vector<float>& totals) {
  Rng rng{1};
  std::array<int, 3> counts{};
  for (int i = 0; i < 9'000; ++i) ++counts[first_of(picker, totals, rng)];
  return counts;
}

TEST(MaxScorePicker, TakesTheHighestAndSplitsTiesEvenly) {
  const auto counts = counts_of(MaxScorePicker{1}, {0.5F, 0.9F, 0.9F});
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 4'500, 250);
}

TEST(RandomPicker, IgnoresTheTotals) {
  for (const int count : counts_of(RandomPicker{1}, {0.0F, 5.0F, -1.0F})) EXPECT_NEAR(count, 3'000, 250);
}

TEST(WeightedRandomPicker, PicksInProportionToTheTotals) {
  const auto counts = counts_of(WeightedRandomPicker{1}, {1.0F, 2.0F, 0.0F});
  EXPECT_NEAR(counts[0], 3'000, 250);
  EXPECT_NEAR(counts[1], 6'000, 250);
  EXPECT_EQ(counts[2], 0);
}

TEST(WeightedRandomPicker, IsUniformWhenNoTotalIsPositive) {
  for (const int count : counts_of(WeightedRandomPicker{1}, {0.0F, -1.0F, 0.0F})) EXPECT_NEAR(count, 3'000, 250);
}

}  // namespace
}  // namespace llmd::scheduling
