#include "kube/lease_election.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace llmd::kube {
namespace {

const TimePoint kStart{seconds{1'000}};

TEST(LeaseElection, TakesALeaseThatIsNotThereAndRenewsIt) {
  LeaseElection election{"a", {}};
  EXPECT_FALSE(election.leads(kStart));
  const auto first = election.next({}, kStart, "t0");
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, (LeaseSpec{.holder = "a", .duration_s = 15, .acquired = "t0", .renewed = "t0", .transitions = 0}));
  EXPECT_FALSE(election.leads(kStart)) << "before the server took it";
  election.written(*first, kStart);
  EXPECT_TRUE(election.leads(kStart));
  const auto second = election.next(first, kStart + seconds{2}, "t2");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->acquired, "t0");
  EXPECT_EQ(second->renewed, "t2");
  EXPECT_EQ(second->transitions, 0);
  EXPECT_TRUE(election.leads(kStart + seconds{9}));
  EXPECT_FALSE(election.leads(kStart + seconds{10})) << "it could not renew";
}

TEST(LeaseElection, WaitsUntilAHolderNoLongerRenews) {
  LeaseElection election{"b", {}};
  LeaseSpec held{.holder = "a", .duration_s = 15, .acquired = "x", .renewed = "x", .transitions = 4};
  EXPECT_FALSE(election.next(held, kStart, "t"));
  EXPECT_FALSE(election.next(held, kStart + seconds{14}, "t"));
  held.renewed = std::string{"y"};
  EXPECT_FALSE(election.next(held, kStart + seconds{15}, "t")) << "it has been renewed meanwhile";
  EXPECT_FALSE(election.next(held, kStart + seconds{29}, "t"));
  const auto taken = election.next(held, kStart + seconds{30}, "t30");
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->holder, "b");
  EXPECT_EQ(taken->transitions, 5);
}

TEST(LeaseElection, TakesOneThatWasReleasedAtOnceAndReleasesItsOwn) {
  LeaseElection election{"b", {}};
  const LeaseSpec free{.holder = "", .duration_s = 1, .acquired = "x", .renewed = "x", .transitions = 2};
  EXPECT_FALSE(election.release("t"));
  const auto taken = election.next(free, kStart, "t");
  ASSERT_TRUE(taken);
  election.written(*taken, kStart);
  const auto released = election.release("t1");
  ASSERT_TRUE(released);
  EXPECT_EQ(released->holder, "");
  election.written(*released, kStart);
  EXPECT_FALSE(election.leads(kStart));
  EXPECT_FALSE(election.release("t"));
}

TEST(LeaseElection, NoLongerLeadsOnceAnotherHoldsIt) {
  LeaseElection election{"a", {}};
  election.written(*election.next({}, kStart, "t"), kStart);
  const LeaseSpec other{.holder = "b", .duration_s = 15, .acquired = "x", .renewed = "x", .transitions = 1};
  EXPECT_FALSE(election.next(other, kStart + seconds{1}, "t"));
  EXPECT_FALSE(election.leads(kStart + seconds{1}));
}

/// Replicas that stop, lose the server and come back in any order: never two lead.
TEST(LeaseElection, NeverHasTwoLeaders) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
    const auto below = [&](std::uint64_t bound) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return (state >> 33U) % bound;
    };
    std::optional<LeaseSpec> lease;
    std::vector<std::unique_ptr<LeaseElection>> replicas;
    std::vector<TimePoint> away(3, kStart);
    for (const char* name : {"a", "b", "c"}) replicas.push_back(std::make_unique<LeaseElection>(name, LeaseTimes{}));
    int led = 0;
    for (int step = 0; step < 400; ++step) {
      const TimePoint now = kStart + step * milliseconds{500};
      for (std::size_t i = 0; i < replicas.size(); ++i) {
        if (below(60) == 0) away[i] = now + seconds{static_cast<std::int64_t>(below(40))};
        if (now < away[i] || below(4) != 0) continue;
        if (const auto write = replicas[i]->next(lease, now, fmt::format("{}", step)); write) {
          lease = write;
          if (below(10) != 0) replicas[i]->written(*write, now);  // else the answer is lost
        }
      }
      const auto leaders = std::ranges::count_if(replicas, [&](const auto& each) { return each->leads(now); });
      ASSERT_LE(leaders, 1) << "seed " << seed << ", step " << step;
      led += static_cast<int>(leaders);
    }
    EXPECT_GT(led, 100) << "seed " << seed;
  }
}

}  // namespace
}  // namespace llmd::kube
