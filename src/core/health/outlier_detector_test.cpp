#include "health/outlier_detector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace llmd::health {
namespace {

/// Endpoints that each serve requests, one every `gap`, and are looked at each second.
struct Fleet {
  explicit Fleet(std::size_t endpoints, OutlierOptions options = {}) : detector{options}, members(endpoints) {
    slow.assign(endpoints, 1.0F);
    fails.assign(endpoints, 0.0);
    for (OutlierMember& member : members) all.push_back(&member);
  }

  /// One second. Each endpoint gets its share of ten requests; of an ejected one's only probes go.
  void second() {
    for (int slot = 0; slot < 10; ++slot) {
      clock.advance(milliseconds{100});
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (!admits(members[i].share(), rng.next(), "e", 0, clock.now()) || !rng.chance(traffic)) continue;
        ++sent.at(i);
        members[i].on_sent(detector.options(), clock.now());
        const bool failed = rng.chance(fails[i]);
        members[i].on_ended(failed, detector.options(), clock.now());
        if (!failed)
          members[i].on_latency({.sent_at = clock.now(), .ttft_ratio = ratio(i), .tpot_ratio = ratio(i)}, clock.now());
      }
    }
    (void)detector.look(all, clock.now());
    std::size_t reduced = 0;
    for (const OutlierMember& member : members) reduced += member.reduced() ? 1 : 0;
    reduced_peak = std::max(reduced_peak, reduced);
  }
  void run(int seconds) {
    sent.assign(members.size(), 0);
    for (int i = 0; i < seconds; ++i) second();
  }
  [[nodiscard]] float share(std::size_t i) const { return members[i].share().share; }
  /// How many seconds until the endpoint's share is so much; `limit` if it is not by then.
  int until(std::size_t i, float wanted, int limit) {
    sent.assign(members.size(), 0);
    for (int passed = 0; passed < limit; ++passed) {
      if (share(i) == wanted) return passed;
      second();
    }
    return limit;
  }
  float ratio(std::size_t i) {
    return slow[i] * std::exp(0.3F * static_cast<float>(rng.uniform() + rng.uniform() - 1));
  }

  ManualClock clock;
  Rng rng{7};
  OutlierDetector detector;
  std::vector<OutlierMember> members;
  std::vector<OutlierMember*> all;
  std::vector<float> slow;    // times
  std::vector<double> fails;  // share
  std::vector<std::uint64_t> sent;
  double traffic = 0.5;
  std::size_t reduced_peak = 0;
};

TEST(OutlierDetector, TakesTrafficFromASlowEndpointStepByStepAndGivesItBack) {
  Fleet fleet{6};
  fleet.run(30);
  EXPECT_EQ(fleet.reduced_peak, 0U);
  fleet.slow[2] = 4;
  EXPECT_LT(fleet.until(2, 0.5F, 30), 10);
  EXPECT_EQ(fleet.members[2].share().cause, TrafficShare::Cause::kSlow);
  EXPECT_GT(fleet.members[2].share().observed, 2);
  EXPECT_LT(fleet.until(2, 0.25F, 30), 10);
  EXPECT_LT(fleet.until(2, 0, 30), 15);
  fleet.run(60);
  EXPECT_LT(fleet.sent[2], 25U) << "probes only, and none in pauses";
  EXPECT_GT(fleet.sent[2], 3U) << "else nobody would see it recover";
  fleet.slow[2] = 1;
  EXPECT_LT(fleet.until(2, 1, 200), 120) << "at most the longest pause, probes, and three steps";
  EXPECT_EQ(fleet.reduced_peak, 1U);
  fleet.run(60);
  EXPECT_EQ(fleet.reduced_peak, 1U);
  EXPECT_EQ(fleet.share(2), 1);
}

TEST(OutlierDetector, PausesGrowWithRepetitionAndAreForgiven) {
  Fleet fleet{6};
  fleet.slow[1] = 5;
  const auto pause = [&] {
    EXPECT_LT(fleet.until(1, 0, 200), 200);
    return to_seconds(fleet.members[1].share().probe_from - fleet.clock.now());
  };
  EXPECT_NEAR(pause(), 5, 0.01);
  fleet.slow[1] = 1;
  EXPECT_LT(fleet.until(1, 1, 100), 60);
  fleet.slow[1] = 5;
  EXPECT_NEAR(pause(), 10, 0.01);
  fleet.slow[1] = 1;
  EXPECT_LT(fleet.until(1, 1, 100), 60);
  fleet.run(200);
  fleet.slow[1] = 5;
  EXPECT_NEAR(pause(), 5, 0.01) << "forgiven";
}

TEST(OutlierDetector, EjectsWhoFailsMoreThanItsPeersButNotWhoFailsAsTheyDo) {
  Fleet fleet{5};
  fleet.fails[4] = 0.3;
  EXPECT_LT(fleet.until(4, 0, 150), 100);
  EXPECT_EQ(fleet.members[4].share().cause, TrafficShare::Cause::kFailing);
  fleet.fails[4] = 0;
  EXPECT_LT(fleet.until(4, 1, 200), 120);
  Fleet all_fail{5};
  all_fail.fails.assign(5, 0.3);
  all_fail.run(300);
  EXPECT_EQ(all_fail.reduced_peak, 0U) << "what all have in common is no outlier's";
}

TEST(OutlierDetector, NeverReducesMoreThanItsPartOfAClassAndTakesTheWorst) {
  Fleet fleet{9};
  for (const std::size_t i : {0U, 1U, 2U}) fleet.slow[i] = 3;
  fleet.slow[3] = 6;
  fleet.run(120);
  EXPECT_EQ(fleet.reduced_peak, 3U);
  EXPECT_LT(fleet.share(3), 1) << "the worst";
  Fleet few{3};
  few.slow[0] = 8;
  few.run(120);
  EXPECT_EQ(few.reduced_peak, 0U) << "two peers are too few to say";
}

TEST(OutlierDetector, GivesBackWhatAShrinkingClassCannotSpare) {
  Fleet fleet{6};
  fleet.slow[0] = 4;
  fleet.slow[1] = 8;
  EXPECT_LT(fleet.until(1, 0, 100), 60);
  EXPECT_LT(fleet.until(0, 0, 100), 60);
  for (const std::size_t gone : {3U, 4U}) fleet.members[gone].set_serving(false);
  fleet.second();
  EXPECT_EQ(fleet.share(0), 1) << "the least bad";
  EXPECT_EQ(fleet.share(1), 0);
  fleet.members[5].set_serving(false);
  fleet.second();
  EXPECT_EQ(fleet.share(1), 0) << "one of three";
  fleet.members[2].set_serving(false);
  fleet.second();
  EXPECT_EQ(fleet.share(1), 1);
}

TEST(OutlierDetector, ComparesOnlyPeers) {
  Fleet fleet{8};
  for (std::size_t i = 4; i < 8; ++i) {
    fleet.members[i].set_peer_class(1);
    fleet.slow[i] = 5;
  }
  fleet.run(120);
  EXPECT_EQ(fleet.reduced_peak, 0U);
}

TEST(OutlierDetector, ReadmitsWithTimeWhoGetsNothing) {
  Fleet fleet{6};
  fleet.slow[2] = 4;
  EXPECT_LT(fleet.until(2, 0, 100), 60);
  fleet.traffic = 0;
  EXPECT_LT(fleet.until(2, 1, 200), 5 + 3 * 15 + 10) << "the pause, and three times `hold`";
}

TEST(OutlierDetector, DoesNothingOfOneObservationNorOfFew) {
  Fleet fleet{6};
  fleet.run(30);
  fleet.traffic = 0;
  fleet.run(70);
  for (int i = 0; i < 4; ++i)
    fleet.members[0].on_latency({.sent_at = fleet.clock.now(), .ttft_ratio = 50, .tpot_ratio = 50}, fleet.clock.now());
  fleet.run(5);
  EXPECT_EQ(fleet.reduced_peak, 0U);
}

TEST(OutlierDetector, WrongsNobodyAmongMany) {
  Fleet fleet{200};
  fleet.run(300);
  EXPECT_EQ(fleet.reduced_peak, 0U) << "of 200 endpoints in five minutes";
}

}  // namespace
}  // namespace llmd::health
