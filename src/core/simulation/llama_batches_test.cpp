#include "simulation/llama_batches.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

std::uint32_t reads_of(std::vector<SlotRows> rows, double rows_hiding = 8) {
  return llama_batches(rows, 256, rows_hiding).weight_reads;
}

TEST(LlamaBatches, WeightReadsAreOneWhereSlotsFollowEachOther) {
  EXPECT_EQ(reads_of({}), 0U);
  EXPECT_EQ(reads_of({{.slot = 5, .rows = 1}}), 1U);
  EXPECT_EQ(reads_of({{0, 1}, {1, 1}, {2, 1}}), 1U);
}

TEST(LlamaBatches, WeightReadsAreOneMoreForEachGapBetweenSlots) {
  EXPECT_EQ(reads_of({{0, 1}, {2, 1}, {3, 1}}), 2U);
  EXPECT_EQ(reads_of({{0, 1}, {2, 1}, {4, 1}}), 3U);
}

TEST(LlamaBatches, WeightReadsHideBehindBatchesThatComputeForLong) {
  EXPECT_EQ(reads_of({{.slot = 5, .rows = 200}}), 0U);
  EXPECT_EQ(reads_of({{0, 1}, {1, 100}, {2, 1}}), 1U) << "a token of each, then 99 of the prompt";
  EXPECT_EQ(reads_of({{0, 1}, {1, 5}, {2, 1}}), 2U) << "four are computed sooner than they are read for";
}

TEST(LlamaBatches, WeightReadsBatchesHoldNoMoreRowsThanTheyMay) {
  EXPECT_EQ(reads_of({{.slot = 0, .rows = 600}}, 1'000), 3U);
  EXPECT_EQ(reads_of({{0, 200}, {1, 200}}, 1'000), 2U) << "128 of each, then 72";
}

TEST(LlamaBatches, AttendToAsMuchAsTheLongestOfThem) {
  std::vector<SlotRows> rows{{.slot = 0, .rows = 1, .first = 20, .decodes = true},
                             {.slot = 1, .rows = 1, .first = 600, .decodes = true},
                             {.slot = 4, .rows = 1, .first = 99, .decodes = true}};
  const LlamaBatches batches = llama_batches(rows, 256, 8);
  EXPECT_EQ(batches.weight_reads, 2U);
  EXPECT_DOUBLE_EQ(batches.decode_kilotokens, 0.601 + 0.601 + 0.1) << "the first two are of one batch";
}

TEST(LlamaBatches, APromptBesideThemIsLongToo) {
  std::vector<SlotRows> rows{{.slot = 0, .rows = 1, .first = 300, .decodes = true},
                             {.slot = 1, .rows = 101, .first = 400}};
  EXPECT_DOUBLE_EQ(llama_batches(rows, 256, 8).decode_kilotokens, 0.401) << "one row of it shares the batch";
}

}  // namespace
}  // namespace llmd::simulation
