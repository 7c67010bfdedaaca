#include "flow/drain_rate.h"

#include <gtest/gtest.h>

namespace llmd::flow {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

TEST(DrainRate, TellsASteadyRateSoonAndFollowsAChange) {
  DrainRate rate;
  EXPECT_EQ(rate.per_second(kNow), 0);
  TimePoint now = kNow;
  for (int i = 0; i < 20; ++i) rate.note(now += milliseconds{100});
  EXPECT_NEAR(rate.per_second(now), 10, 1) << "after two seconds";
  for (int i = 0; i < 200; ++i) rate.note(now += milliseconds{500});
  EXPECT_NEAR(rate.per_second(now), 2, 0.2);
  EXPECT_NEAR(rate.per_second(now + DrainRate::kHalfLife), 1, 0.1) << "nothing leaves: it halves";
}

TEST(RetryAfter, IsTheTimeUntilThoseAheadHaveLeft) {
  EXPECT_EQ(retry_after_s(100, 10), 10U);
  EXPECT_EQ(retry_after_s(1, 10), 1U);
  EXPECT_EQ(retry_after_s(1'000'000, 10), 60U);
  EXPECT_EQ(retry_after_s(5, 0), 60U) << "nothing leaves";
}

}  // namespace
}  // namespace llmd::flow
