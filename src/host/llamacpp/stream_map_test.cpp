#include "llamacpp/stream_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace llmd::llamacpp {
namespace {

std::vector<bool> occupy(std::uint32_t slots, const std::vector<std::uint32_t>& held) {
  std::vector<bool> occupied(slots, false);
  for (const std::uint32_t slot : held) occupied[slot] = true;
  return occupied;
}

std::size_t runs(const StreamMap& map, const std::vector<std::uint32_t>& slots) {
  std::set<std::uint32_t> streams;
  for (const std::uint32_t slot : slots) streams.insert(map.stream_of(slot));
  return static_cast<std::size_t>(std::ranges::count_if(
      streams, [&](std::uint32_t stream) { return stream == 0 || !streams.contains(stream - 1); }));
}

TEST(StreamMap, ALoneStreamMovesBesideTheOthers) {
  StreamMap map{16};
  const std::vector<std::uint32_t> decoding{0, 1, 9};
  const auto moves = map.join_runs(decoding, occupy(16, decoding), 2);
  ASSERT_EQ(moves.size(), 1U);
  map.moved(moves[0]);
  EXPECT_EQ(map.stream_of(9), 2U);
  EXPECT_EQ(runs(map, decoding), 1U);
}

TEST(StreamMap, AnOccupiedStreamIsNeverTakenAndTheOtherSideIsTried) {
  const std::vector<std::uint32_t> decoding{4, 5, 9};
  StreamMap map{16};
  const auto moves = map.join_runs(decoding, occupy(16, {4, 5, 6, 9}), 2);
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].to, 3U);
  EXPECT_TRUE(map.join_runs(decoding, occupy(16, {3, 4, 5, 6, 8, 9, 10}), 2).empty()) << "no room on any side";
}

TEST(StreamMap, NeighboursStayAndALongRunIsNotTornApart) {
  const StreamMap map{16};
  EXPECT_TRUE(map.join_runs(std::vector<std::uint32_t>{3, 4, 5}, occupy(16, {3, 4, 5}), 2).empty());
  EXPECT_TRUE(
      map.join_runs(std::vector<std::uint32_t>{0, 1, 2, 9, 10, 11}, occupy(16, {0, 1, 2, 9, 10, 11}), 2).empty());
  EXPECT_TRUE(map.join_runs({}, occupy(16, {}), 2).empty());
}

TEST(StreamMap, AnyMixComesTogetherAndEachSlotKeepsAStreamOfItsOwn) {
  Rng rng{11};
  for (int round = 0; round < 500; ++round) {
    const auto slots = static_cast<std::uint32_t>(2 + rng.below(40));
    StreamMap map{slots};
    std::vector<bool> occupied(slots, false);
    for (int step = 0; step < 30; ++step) {
      std::vector<std::uint32_t> decoding;
      for (std::uint32_t slot = 0; slot < slots; ++slot) {
        if (rng.chance(0.2)) occupied[slot] = rng.chance(0.6);
        if (occupied[slot] && rng.chance(0.7)) decoding.push_back(slot);
      }
      const std::size_t before = runs(map, decoding);
      const auto moves = map.join_runs(decoding, occupied, 3);
      for (const auto& move : moves) {
        for (std::uint32_t slot = 0; slot < slots; ++slot) {
          ASSERT_FALSE(occupied[slot] && map.stream_of(slot) == move.to) << "over another's KV";
        }
        map.moved(move);
      }
      EXPECT_TRUE(moves.empty() || runs(map, decoding) < before);
      std::set<std::uint32_t> streams;
      for (std::uint32_t slot = 0; slot < slots; ++slot) streams.insert(map.stream_of(slot));
      ASSERT_EQ(streams.size(), slots);
    }
  }
}

}  // namespace
}  // namespace llmd::llamacpp
