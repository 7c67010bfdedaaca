#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>

namespace llmd {
namespace {

// First outputs of SplitMix64 for seed 1234567, as published with the Java and C reference versions.
TEST(Rng, AgreesWithTheReferenceGenerator) {
  Rng rng{1234567};
  EXPECT_EQ(rng.next(), 6457827717110365317ULL);
  EXPECT_EQ(rng.next(), 3203168211198807973ULL);
  EXPECT_EQ(rng.next(), 9817491932198370423ULL);
}

TEST(Rng, BelowIsEvenOverASmallRange) {
  Rng rng{1};
  std::array<int, 5> counts{};
  for (int i = 0; i < 50'000; ++i) ++counts[rng.below(counts.size())];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

}  // namespace
}  // namespace llmd
