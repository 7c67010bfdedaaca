#include "model/link_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace llmd {
namespace {

LinkTable::Entry entry(std::string from, std::string to, float latency_ms) {
  return {.from = std::move(from), .to = std::move(to), .link = {.latency_ms = {latency_ms, TimePoint{}}}};
}

TEST(LinkTable, FindsALinkInItsDirectionOnly) {
  const LinkTable table{{entry("a", "b", 3)}};
  ASSERT_NE(table.find("a", "b"), nullptr);
  EXPECT_EQ(table.find("a", "b")->latency_ms.value, 3.0F);
  EXPECT_FALSE(table.find("a", "b")->bandwidth_mbps.value.has_value());
  EXPECT_EQ(table.find("b", "a"), nullptr);
  EXPECT_EQ(table.find("a", ""), nullptr);
  EXPECT_EQ(LinkTable{{}}.find("a", "b"), nullptr);
}

TEST(LinkTable, KeepsPairsApartWhoseNamesJoinToTheSameText) {
  const LinkTable table{{entry("ab", "c", 1), entry("a", "bc", 2)}};
  EXPECT_EQ(table.find("ab", "c")->latency_ms.value, 1.0F);
  EXPECT_EQ(table.find("a", "bc")->latency_ms.value, 2.0F);
}

TEST(LinkTable, TakesTheLaterOfTwoEntriesAndDropsPairsBeyondItsBound) {
  const LinkTable table{{entry("a", "b", 1), entry("b", "a", 2), entry("c", "a", 3), entry("a", "b", 4)}, 2};
  EXPECT_EQ(table.size(), 2U);
  EXPECT_EQ(table.dropped(), 1U);
  EXPECT_EQ(table.find("a", "b")->latency_ms.value, 4.0F);
  EXPECT_EQ(table.find("c", "a"), nullptr);
}

TEST(LinkTable, AgreesWithAMapOnRandomPairs) {
  Rng rng{7};
  std::map<std::pair<std::string, std::string>, float> twin;
  std::vector<LinkTable::Entry> entries;
  for (int k = 0; k < 2'000; ++k) {
    const std::string from = std::to_string(rng.below(40));
    const std::string to = std::to_string(rng.below(40));
    const auto latency_ms = static_cast<float>(rng.below(1'000));
    entries.push_back(entry(from, to, latency_ms));
    twin[{from, to}] = latency_ms;
  }
  const LinkTable table{std::move(entries)};
  EXPECT_EQ(table.size(), twin.size());
  for (int from = 0; from < 42; ++from) {
    for (int to = 0; to < 42; ++to) {
      const Link* link = table.find(std::to_string(from), std::to_string(to));
      const auto expected = twin.find({std::to_string(from), std::to_string(to)});
      ASSERT_EQ(link != nullptr, expected != twin.end());
      if (link != nullptr) {
        EXPECT_EQ(link->latency_ms.value, expected->second);
      }
    }
  }
}

}  // namespace
}  // namespace llmd
