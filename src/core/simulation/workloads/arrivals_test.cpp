#include "simulation/workloads/arrivals.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace llmd::simulation {
namespace {

struct Gaps {
  double mean_s = 0;
  double variation = 0;
};

Gaps gaps_of(const ArrivalOptions& options, std::uint64_t seed, int count) {
  ArrivalProcess arrivals{options, seed};
  Duration last{};
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < count; ++i) {
    const Duration at = arrivals.next();
    EXPECT_GE(at, last) << "arrival " << i << " goes back";
    const double gap = to_seconds(at - last);
    sum += gap;
    squares += gap * gap;
    last = at;
  }
  const double mean = sum / count;
  return {.mean_s = mean, .variation = std::sqrt(squares / count - mean * mean) / mean};
}

TEST(ArrivalProcess, HasTheRateAndTheVariationThatWereAskedFor) {
  struct Case {
    double rate_per_s;
    double variation;
  };
  for (const Case& test : {Case{1, 1}, Case{2'000, 1}, Case{0.01, 1}, Case{10, 2}, Case{10, 5}, Case{10, 0.3}}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      // The mean of n gaps strays by variation / sqrt(n): 1.6% for the widest here, and four times that is let pass.
      const Gaps found = gaps_of({.rate_per_s = test.rate_per_s, .variation = test.variation}, seed, 100'000);
      const double stray = 4 * test.variation / std::sqrt(100'000.0);
      EXPECT_NEAR(found.mean_s * test.rate_per_s, 1, stray) << test.rate_per_s << ", " << test.variation;
      EXPECT_NEAR(found.variation / test.variation, 1, 0.06) << test.rate_per_s << ", " << test.variation;
    }
  }
}

TEST(ArrivalProcess, FollowsTheDay) {
  const ArrivalOptions options{.rate_per_s = 10, .day_swing = 0.5, .day = std::chrono::hours{1}};
  ArrivalProcess arrivals{options, 4};
  std::array<int, 4> quarters{};  // of the day, over ten days
  for (Duration at = arrivals.next(); at < 10 * options.day; at = arrivals.next()) {
    ++quarters[static_cast<std::size_t>(at % options.day / (options.day / 4))];
  }
  // A quarter of a sine's period has the mean 2 / pi.
  const double high = 10 * 900 * 10 * (1 + 0.5 * 2 / 3.14159265);
  const double low = 10 * 900 * 10 * (1 - 0.5 * 2 / 3.14159265);
  EXPECT_NEAR(quarters[0], high, 0.02 * high);
  EXPECT_NEAR(quarters[1], high, 0.02 * high);
  EXPECT_NEAR(quarters[2], low, 0.02 * low);
  EXPECT_NEAR(quarters[3], low, 0.02 * low);
}

TEST(ArrivalProcess, IsStillWhenTheDayAsksForNothing) {
  const ArrivalOptions options{.rate_per_s = 100, .day_swing = 1, .day = std::chrono::hours{1}};
  ArrivalProcess arrivals{options, 4};
  int around_trough = 0;
  for (Duration at = arrivals.next(); at < options.day; at = arrivals.next()) {
    around_trough += at > options.day * 74 / 100 && at < options.day * 76 / 100 ? 1 : 0;
  }
  // 72 s at a rate of at most 100 x (1 - cos(2 pi / 100)) = 0.2 a second.
  EXPECT_LT(around_trough, 20);
}

TEST(ArrivalProcess, TakesTheNearestValueForOneOutOfRange) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const ArrivalOptions wild = in_range({.rate_per_s = kNan, .variation = 1e9, .day_swing = -1, .day = Duration{-5}});
  EXPECT_EQ(wild.rate_per_s, 1e-6);
  EXPECT_EQ(wild.variation, 20);
  EXPECT_EQ(wild.day_swing, 0);
  EXPECT_EQ(wild.day, seconds{1});
}

TEST(ArrivalProcess, RepeatsItselfForASeed) {
  ArrivalProcess one{{.variation = 3, .day_swing = 0.3}, 9};
  ArrivalProcess same{{.variation = 3, .day_swing = 0.3}, 9};
  ArrivalProcess other{{.variation = 3, .day_swing = 0.3}, 10};
  int equal = 0;
  for (int i = 0; i < 1'000; ++i) {
    const Duration at = one.next();
    ASSERT_EQ(at, same.next());
    equal += at == other.next() ? 1 : 0;
  }
  EXPECT_LT(equal, 10);
}

}  // namespace
}  // namespace llmd::simulation
