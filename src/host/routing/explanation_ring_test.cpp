#include "routing/explanation_ring.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::routing {
namespace {

RequestRecord record(const std::string& id, const std::string& chosen = "a") {
  RequestRecord made;
  made.explanation.request_id = id;
  made.chosen = chosen;
  return made;
}

TEST(ExplanationRing, ForgetsTheOldestFirst) {
  Budget budget{"test", 1'000'000};
  ExplanationRing ring{2, budget};
  ring.put(record("1"));
  ring.put(record("2"));
  ring.put(record("3"));
  EXPECT_FALSE(ring.find("1"));
  EXPECT_TRUE(ring.find("2"));
  EXPECT_TRUE(ring.find("3"));
}

TEST(ExplanationRing, AddsTheOutcomeToItsRequestOnly) {
  Budget budget{"test", 1'000'000};
  ExplanationRing ring{4, budget};
  ring.put(record("1"));
  ring.put(record("2"));
  Outcome outcome;
  outcome.request_id = "2";
  outcome.status = 200;
  ring.finish(outcome);
  outcome.request_id = "gone";
  ring.finish(outcome);
  EXPECT_FALSE(ring.find("1")->outcome);
  EXPECT_EQ(ring.find("2")->outcome.value().status, 200);
}

TEST(ExplanationRing, StaysWithinItsBudgetAndAgreesWithAListOfTheLastRecords) {
  for (const std::size_t limit : {std::size_t{0}, std::size_t{600}, std::size_t{3'000}, std::size_t{100'000}}) {
    Budget budget{"test", limit};
    ExplanationRing ring{8, budget};
    Rng rng{limit + 1};
    std::vector<std::pair<std::string, std::string>> newest_last;
    for (int step = 0; step < 2'000; ++step) {
      const std::string id = std::to_string(rng.below(12));
      const std::string chosen = std::to_string(step);
      ring.put(record(id, chosen));
      std::erase_if(newest_last, [&](const auto& entry) { return entry.first == id; });
      newest_last.emplace_back(id, chosen);
      ASSERT_LE(budget.used_bytes(), limit);
      const std::size_t size = ring.size();
      ASSERT_LE(size, 8U);
      for (std::size_t i = 0; i < newest_last.size(); ++i) {
        const bool kept = i + size >= newest_last.size();
        const auto found = ring.find(newest_last[i].first);
        ASSERT_EQ(found.has_value(), kept) << "limit " << limit << ", step " << step;
        if (!kept) continue;
        ASSERT_EQ(found->chosen, newest_last[i].second);
      }
    }
  }
}

}  // namespace
}  // namespace llmd::routing
