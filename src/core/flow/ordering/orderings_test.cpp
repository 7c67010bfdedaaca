#include <gtest/gtest.h>

#include "flow/ordering/edf_ordering.h"
#include "flow/ordering/fcfs_ordering.h"
#include "flow/ordering/shortest_uncached_prefill_ordering.h"
#include "flow/ordering/slo_deadline_ordering.h"

namespace llmd::flow {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

OrderFacts at(milliseconds after) { return {.received = kNow + after, .enqueued = kNow + after}; }

TEST(FcfsOrdering, PutsTheFirstFirst) {
  EXPECT_LT(FcfsOrdering{}.key(at(milliseconds{1})), FcfsOrdering{}.key(at(milliseconds{2})));
}

TEST(EdfOrdering, PutsTheNearestEndFirstAndThoseThatMayWaitForEverLast) {
  const EdfOrdering policy;
  OrderFacts soon = at(milliseconds{10});
  soon.ttl = milliseconds{5};
  OrderFacts late = at(milliseconds{0});
  late.ttl = seconds{60};
  EXPECT_LT(policy.key(soon), policy.key(late));
  EXPECT_LT(policy.key(late), policy.key(at(milliseconds{0})));
}

TEST(SloDeadlineOrdering, CountsFromWhenTheRequestWasReceived) {
  const SloDeadlineOrdering policy;
  OrderFacts urgent = at(milliseconds{500});
  urgent.ttft_objective = milliseconds{100};
  OrderFacts patient = at(milliseconds{0});
  patient.ttft_objective = milliseconds{2'000};
  EXPECT_LT(policy.key(urgent), policy.key(patient));
  patient.received -= milliseconds{1'500};  // it waited before it got here
  EXPECT_LT(policy.key(patient), policy.key(urgent));
  EXPECT_LT(policy.key(urgent), policy.key(at(milliseconds{0}))) << "without an objective: last";
}

TEST(ShortestUncachedPrefillOrdering, LetsShortOnesPassOnlyForSoLong) {
  const ShortestUncachedPrefillOrdering policy{milliseconds{1}};
  OrderFacts lengthy = at(milliseconds{0});
  lengthy.uncached_tokens = 8'000;
  OrderFacts brief = at(milliseconds{7'000});
  brief.uncached_tokens = 100;
  EXPECT_LT(policy.key(brief), policy.key(lengthy));
  brief = at(milliseconds{7'901});
  brief.uncached_tokens = 100;
  EXPECT_LT(policy.key(lengthy), policy.key(brief)) << "it has yielded for 8,000 tokens' time";
}

TEST(ShortestUncachedPrefillOrdering, NoNumberOfTokensIsBeyondTheClock) {
  const ShortestUncachedPrefillOrdering policy{seconds{1'000}};  // the most that can be configured
  OrderFacts longest = at(milliseconds{0});
  longest.uncached_tokens = UINT32_MAX;
  OrderFacts brief = at(milliseconds{0});
  brief.uncached_tokens = 1;
  EXPECT_GT(policy.key(longest), policy.key(brief));
}

}  // namespace
}  // namespace llmd::flow
