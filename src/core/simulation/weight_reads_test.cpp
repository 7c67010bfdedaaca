#include "simulation/weight_reads.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

std::uint32_t reads_of(std::vector<SlotRows> rows, double rows_hiding = 8) {
  return weight_reads(rows, 256, rows_hiding);
}

TEST(WeightReads, AreOneWhereSlotsFollowEachOther) {
  EXPECT_EQ(reads_of({}), 0U);
  EXPECT_EQ(reads_of({{.slot = 5, .rows = 1}}), 1U);
  EXPECT_EQ(reads_of({{0, 1}, {1, 1}, {2, 1}}), 1U);
}

TEST(WeightReads, AreOneMoreForEachGapBetweenSlots) {
  EXPECT_EQ(reads_of({{0, 1}, {2, 1}, {3, 1}}), 2U);
  EXPECT_EQ(reads_of({{0, 1}, {2, 1}, {4, 1}}), 3U);
}

TEST(WeightReads, HideBehindBatchesThatComputeForLong) {
  EXPECT_EQ(reads_of({{.slot = 5, .rows = 200}}), 0U);
  EXPECT_EQ(reads_of({{0, 1}, {1, 100}, {2, 1}}), 1U) << "a token of each, then 99 of the prompt";
  EXPECT_EQ(reads_of({{0, 1}, {1, 5}, {2, 1}}), 2U) << "four are computed sooner than they are read for";
}

TEST(WeightReads, BatchesHoldNoMoreRowsThanTheyMay) {
  EXPECT_EQ(reads_of({{.slot = 0, .rows = 600}}, 1'000), 3U);
  EXPECT_EQ(reads_of({{0, 200}, {1, 200}}, 1'000), 2U) << "128 of each, then 72";
}

}  // namespace
}  // namespace llmd::simulation
