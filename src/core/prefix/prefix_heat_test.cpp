#include "prefix/prefix_heat.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "base/rng.h"

namespace llmd {
namespace {

constexpr TimePoint kStart{std::chrono::hours{1}};

PrefixKey key_of(std::vector<std::uint64_t> hashes) { return {.hashes = std::move(hashes), .block_tokens = 64}; }

TEST(PrefixHeat, AgreesWithExactCountsWhileThereIsRoom) {
  Rng rng{1};
  PrefixHeat heat{4'096, seconds{8}, 1};
  std::map<std::uint64_t, double> exact;
  TimePoint now = kStart;
  for (int step = 0; step < 2'000; ++step) {
    std::vector<std::uint64_t> hashes;
    std::uint64_t node = 1;
    for (int depth = 0; depth < 5; ++depth) hashes.push_back(node = node * 3 + rng.below(3));
    heat.use(key_of(hashes), now);
    for (const std::size_t length : {1UZ, 2UZ, 4UZ}) ++exact[hashes[length - 1]];
    ASSERT_NEAR(heat.heat(key_of(hashes), 5, now), exact[hashes[3]], 0.01);
    ASSERT_NEAR(heat.heat(key_of(hashes), 3, now), exact[hashes[1]], 0.01);
    now += milliseconds{500};
    for (auto& [hash, uses] : exact) uses *= std::exp2(-0.5 / 8);
  }
}

TEST(PrefixHeat, KeepsWhatIsHotAmongManyThatAreUsedOnce) {
  Rng rng{2};
  PrefixHeat heat{512, seconds{60}, 1};
  for (int step = 0; step < 20'000; ++step) {
    heat.use(key_of({step % 10 == 0 ? 7 : rng.next()}), kStart + milliseconds{step});
  }
  const std::vector<HotPrefix> hot = heat.top(3, kStart + seconds{20});
  ASSERT_EQ(hot.size(), 3U);
  EXPECT_EQ(hot[0].hash, 7U);
  EXPECT_GT(hot[0].uses, 1'500);
}

TEST(PrefixHeat, NamesTheLongestBeginningThatIsAboutAsHot) {
  PrefixHeat heat{512, seconds{60}, 1};
  // Two prompts in three go on after the second block, in two ways, and one in five is another.
  for (int i = 0; i < 30; ++i) heat.use(key_of({1, 2, 3, i % 2 == 0 ? 40U : 41U}), kStart);
  for (int i = 0; i < 10; ++i) heat.use(key_of({5}), kStart);
  const std::vector<HotPrefix> hot = heat.top(10, kStart);
  ASSERT_EQ(hot.size(), 3U);
  EXPECT_EQ(hot[0].blocks, 4U);
  EXPECT_FLOAT_EQ(hot[0].uses, 15);
  EXPECT_EQ(hot[1].blocks, 4U);
  EXPECT_EQ(hot[2].hash, 5U);
}

TEST(PrefixHeat, SharesCountersOutByItsSeed) {
  const auto kept = [](std::uint64_t seed) {
    PrefixHeat heat{64, seconds{60}, seed};
    for (std::uint64_t hash = 1; hash <= 100; ++hash) heat.use(key_of({hash}), kStart);
    std::set<std::uint64_t> hashes;
    for (const HotPrefix& each : heat.top(64, kStart)) hashes.insert(each.hash);
    return hashes;
  };
  EXPECT_EQ(kept(1), kept(1));
  EXPECT_NE(kept(1), kept(2));
}

TEST(PrefixHeat, CountsNothingWithoutCounters) {
  PrefixHeat heat{0, seconds{60}, 1};
  heat.use(key_of({1}), kStart);
  EXPECT_EQ(heat.heat(key_of({1}), 1, kStart), 0);
  EXPECT_TRUE(heat.top(1, kStart).empty());
}

}  // namespace
}  // namespace llmd
