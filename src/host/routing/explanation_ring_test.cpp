#include "routing/explanation_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::routing {
namespace {

RequestRecord record(const std::string& id, std::uint64_t version = 0) {
  RequestRecord made;
  made.explanation.request_id = id;
  made.explanation.snapshot_version = version;
  return made;
}

/// A ring whose shelves are alike.
struct Shelves {
  Shelves(std::size_t records_max, std::size_t bytes_max)
      : budgets{Budget{"full", bytes_max}, Budget{"brief", bytes_max}, Budget{"failed", bytes_max},
                Budget{"refused", bytes_max}},
        ring{{{{records_max, budgets[0]},
               {records_max, budgets[1]},
               {records_max, budgets[2]},
               {records_max, budgets[3]}}}} {}
  std::array<Budget, kShelves> budgets;
  ExplanationRing ring;
};

TEST(ExplanationRing, ForgetsTheOldestOfTheSameShelfFirst) {
  Shelves shelves{2, 1'000'000};
  ExplanationRing& ring = shelves.ring;
  ring.put(record("other"), Shelf::kBrief);
  for (const char* id : {"1", "2", "3"}) ring.put(record(id), Shelf::kFull);
  EXPECT_FALSE(ring.find("1"));
  EXPECT_TRUE(ring.find("2"));
  EXPECT_TRUE(ring.find("3"));
  EXPECT_TRUE(ring.find("other"));
}

TEST(ExplanationRing, AnIdIsOnOneShelfTheLast) {
  Shelves shelves{2, 1'000'000};
  ExplanationRing& ring = shelves.ring;
  ring.put(record("1", 1), Shelf::kFull);
  ring.put(record("1", 2), Shelf::kRefused);
  EXPECT_EQ(ring.find("1")->explanation.snapshot_version, 2U);
  EXPECT_EQ(ring.size(Shelf::kFull), 0U);
  EXPECT_EQ(shelves.budgets[0].used_bytes(), 0U);
}

TEST(ExplanationRing, AddsTheOutcomeToItsRequestOnly) {
  Shelves shelves{4, 1'000'000};
  ExplanationRing& ring = shelves.ring;
  ring.put(record("1"), Shelf::kFull);
  ring.put(record("2"), Shelf::kFull);
  ring.finish({.request_id = "2", .status = 200}, false);
  ring.finish({.request_id = "gone", .status = 200}, true);
  EXPECT_FALSE(ring.find("1")->outcome);
  EXPECT_EQ(ring.find("2")->outcome.value().status, 200);
}

TEST(ExplanationRing, WhatFailedOutlivesLaterRequests) {
  Shelves shelves{3, 1'000'000};
  ExplanationRing& ring = shelves.ring;
  ring.put(record("failed"), Shelf::kBrief);
  ring.put(record("well"), Shelf::kBrief);
  ring.finish({.request_id = "failed", .status = 502}, true);
  ring.finish({.request_id = "failed", .status = 503}, true);  // again: it stays where it is
  ring.finish({.request_id = "well", .status = 200}, false);
  EXPECT_EQ(ring.size(Shelf::kFailed), 1U);
  for (int i = 0; i < 9; ++i) ring.put(record("later" + std::to_string(i)), Shelf::kBrief);
  EXPECT_FALSE(ring.find("well"));
  EXPECT_EQ(ring.find("failed")->outcome.value().status, 503);
  EXPECT_GT(shelves.budgets[2].used_bytes(), 0U);
}

TEST(ExplanationRing, ARecordLargerThanItsShelfIsDropped) {
  Shelves shelves{4, 4'000};
  RequestRecord large = record("large");
  large.explanation.profiles.resize(100);
  EXPECT_FALSE(shelves.ring.put(std::move(large), Shelf::kFull));
  EXPECT_FALSE(shelves.ring.find("large"));
  EXPECT_TRUE(shelves.ring.put(record("small"), Shelf::kFull));
}

TEST(ExplanationRing, StaysWithinItsBudgetAndAgreesWithAListOfTheLastRecords) {
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1'000}, std::size_t{6'000}, std::size_t{100'000}}) {
    Shelves shelves{8, limit};
    ExplanationRing& ring = shelves.ring;
    Rng rng{limit + 1};
    std::vector<std::pair<std::string, std::uint64_t>> newest_last;
    for (std::uint64_t step = 0; step < 2'000; ++step) {
      const std::string id = std::to_string(rng.below(12));
      ring.put(record(id, step), Shelf::kFull);
      std::erase_if(newest_last, [&](const auto& entry) { return entry.first == id; });
      newest_last.emplace_back(id, step);
      ASSERT_LE(shelves.budgets[0].used_bytes(), limit);
      const std::size_t size = ring.size(Shelf::kFull);
      ASSERT_LE(size, 8U);
      for (std::size_t i = 0; i < newest_last.size(); ++i) {
        const bool kept = i + size >= newest_last.size();
        const auto found = ring.find(newest_last[i].first);
        ASSERT_EQ(found.has_value(), kept) << "limit " << limit << ", step " << step;
        if (!kept) continue;
        ASSERT_EQ(found->explanation.snapshot_version, newest_last[i].second);
      }
    }
  }
}

}  // namespace
}  // namespace llmd::routing
