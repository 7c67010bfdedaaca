#include "routing/rate_limit.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmd::routing {
namespace {

constexpr TimePoint kStart{seconds{1'000}};

int taken(RateLimit& limit, TimePoint from, Duration span, Duration step) {
  int count = 0;
  for (TimePoint now = from; now < from + span; now += step) count += limit.take(now) ? 1 : 0;
  return count;
}

TEST(RateLimit, GivesASecondsWorthAtOnceThenEvenly) {
  RateLimit limit{100};
  int burst = 0;
  while (limit.take(kStart)) ++burst;
  EXPECT_EQ(burst, 100);
  EXPECT_FALSE(limit.take(kStart + milliseconds{9}));
  EXPECT_TRUE(limit.take(kStart + milliseconds{10}));
  EXPECT_EQ(taken(limit, kStart + milliseconds{10}, seconds{10}, milliseconds{1}), 1'000 - 1);
  burst = 0;
  while (limit.take(kStart + seconds{100})) ++burst;
  EXPECT_EQ(burst, 100) << "a long pause saves up no more than a second's";
}

TEST(RateLimit, GivesAllOfWhatComesSlower) {
  RateLimit limit{100};
  EXPECT_EQ(taken(limit, kStart, seconds{10}, milliseconds{20}), 500);
}

TEST(RateLimit, SlowerThanOneASecondAndNone) {
  RateLimit slow{0.1};
  EXPECT_EQ(taken(slow, kStart, seconds{100}, milliseconds{100}), 10);
  for (const double none : {0.0, -1.0, 1e-12, std::nan("")}) {
    RateLimit never{none};
    EXPECT_EQ(taken(never, kStart, seconds{100}, seconds{1}), 0) << none;
  }
}

}  // namespace
}  // namespace llmd::routing
