#include "simulation/workloads/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace llmd::simulation {
namespace {

bool same(const SimRequest& a, const SimRequest& b) {
  return a.id == b.id && a.arrival == b.arrival && a.prompt_tokens == b.prompt_tokens &&
         a.output_tokens == b.output_tokens && a.blocks == b.blocks && a.session == b.session && a.tenant == b.tenant &&
         a.priority == b.priority && a.slo_ttft_ms == b.slo_ttft_ms && a.slo_tpot_ms == b.slo_tpot_ms &&
         (a.next_turn == nullptr) == (b.next_turn == nullptr) && (!a.next_turn || same(*a.next_turn, *b.next_turn));
}

class EveryWorkload : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryWorkload, GivesTheSameRequestsForASeedAndOthersForAnother) {
  const auto one = make_workload(GetParam(), {.requests = 500, .seed = 3});
  const auto again = make_workload(GetParam(), {.requests = 500, .seed = 3});
  const auto other = make_workload(GetParam(), {.requests = 500, .seed = 4});
  int equal = 0;
  while (const auto request = one->next()) {
    const auto repeated = again->next();
    ASSERT_TRUE(repeated && same(*request, *repeated)) << request->id;
    const auto different = other->next();
    equal += different && same(*request, *different) ? 1 : 0;
  }
  EXPECT_FALSE(again->next());
  EXPECT_EQ(equal, 0);
}

TEST_P(EveryWorkload, GivesAsManyRequestsAsWereAskedForInOrderOfArrival) {
  const auto workload = make_workload(GetParam(), {.requests = 1'000, .seed = 5});
  std::set<std::uint64_t> ids;
  Duration last{};
  while (const auto first = workload->next()) {
    EXPECT_GE(first->arrival, last);
    last = first->arrival;
    for (const SimRequest* turn = &*first; turn != nullptr; turn = turn->next_turn.get()) {
      EXPECT_TRUE(ids.insert(turn->id).second) << turn->id;
      EXPECT_GE(turn->arrival, Duration{});
    }
  }
  EXPECT_EQ(ids.size(), 1'000U);
  EXPECT_EQ(*ids.begin(), 1U);
  EXPECT_EQ(*ids.rbegin(), 1'000U);
  EXPECT_FALSE(workload->next()) << "the end stays the end";
}

TEST_P(EveryWorkload, NamesAsManyBlocksAsAreWhole) {
  const auto workload = make_workload(GetParam(), {.requests = 1'000, .seed = 6});
  while (const auto first = workload->next()) {
    for (const SimRequest* turn = &*first; turn != nullptr; turn = turn->next_turn.get()) {
      ASSERT_GE(turn->prompt_tokens, 1U);
      ASSERT_GE(turn->output_tokens, 1U);
      ASSERT_EQ(turn->blocks.size(), (turn->prompt_tokens + turn->output_tokens) / workload->block_tokens());
      ASSERT_EQ(std::ranges::count(turn->blocks, 0U), 0);
    }
  }
}

TEST_P(EveryWorkload, BeginsATurnWithAllOfTheTurnBefore) {
  const auto workload = make_workload(GetParam(), {.requests = 1'000, .seed = 7});
  while (const auto first = workload->next()) {
    for (const SimRequest* turn = &*first; turn->next_turn != nullptr; turn = turn->next_turn.get()) {
      const SimRequest& next = *turn->next_turn;
      ASSERT_GT(next.prompt_tokens, turn->prompt_tokens + turn->output_tokens);
      ASSERT_LE(turn->blocks.size(), next.prompt_tokens / workload->block_tokens());
      ASSERT_TRUE(std::ranges::equal(turn->blocks, std::span{next.blocks}.first(turn->blocks.size())));
      ASSERT_EQ(next.session, first->session);
    }
  }
}

TEST_P(EveryWorkload, ComesAtTheRateThatWasAskedFor) {
  for (const double rate_per_s : {0.5, 200.0}) {
    const auto workload = make_workload(GetParam(), {.requests = 20'000, .rate_per_s = rate_per_s, .seed = 8});
    Duration last{};
    while (const auto first = workload->next()) last = first->arrival;
    EXPECT_NEAR(20'000 / to_seconds(last) / rate_per_s, 1, 0.12);
  }
}

TEST_P(EveryWorkload, NamesWhatNobodySharesOnce) {
  const auto workload = make_workload(GetParam(), {.requests = 1'000, .seed = 9});
  // The last block of a request holds its answer, which no other session can have.
  std::unordered_set<std::uint64_t> last;
  while (const auto first = workload->next()) {
    if (first->output_tokens < workload->block_tokens()) continue;
    EXPECT_TRUE(last.insert(first->blocks.back()).second);
  }
  EXPECT_GT(last.size(), 20U);
}

INSTANTIATE_TEST_SUITE_P(Catalog, EveryWorkload, testing::ValuesIn(workload_names().begin(), workload_names().end()),
                         [](const auto& parameter) {
                           std::string name{parameter.param};
                           std::erase_if(name, [](unsigned char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST(Catalog, KnowsNoOtherNames) {
  EXPECT_EQ(workload_names().size(), 8U);
  for (const std::string_view name : {"", "Chat", "chat ", "mooncake"}) EXPECT_EQ(make_workload(name, {}), nullptr);
}

TEST(Catalog, GivesNothingWhereNothingIsAskedFor) {
  for (const std::string_view name : workload_names()) EXPECT_FALSE(make_workload(name, {.requests = 0})->next());
}

}  // namespace
}  // namespace llmd::simulation
