#include "pool/scrape_pacer.h"

#include <gtest/gtest.h>

namespace llmd::pool {
namespace {

constexpr TimePoint kStart{std::chrono::hours{1}};

TEST(ScrapePacer, HoldsNobodyUpUntilItKnowsTheCost) {
  ScrapePacer pacer{0.4};
  EXPECT_EQ(pacer.stretch(1e9), 1);
  pacer.sample(milliseconds{5}, 10, kStart);
  pacer.sample(milliseconds{10}, 20, kStart + milliseconds{10});
  EXPECT_EQ(pacer.stretch(1e9), 1) << "too soon to tell";
}

TEST(ScrapePacer, SpreadsLooksSoThatTheyTakeTheirShare) {
  ScrapePacer pacer{0.4};
  pacer.sample({}, 0, kStart);
  pacer.sample(milliseconds{800}, 8'000, kStart + seconds{1});
  EXPECT_NEAR(pacer.share(), 0.8, 1e-9);
  EXPECT_EQ(pacer.cost(), microseconds{100});
  EXPECT_NEAR(pacer.stretch(8'000), 2, 1e-6) << "half as many take 0.4";
  EXPECT_EQ(pacer.stretch(1'000), 1);
}

TEST(ScrapePacer, FollowsTheCost) {
  ScrapePacer pacer{0.5};
  Duration cpu{};
  std::uint64_t looks = 0;
  TimePoint now = kStart;
  const auto run = [&](Duration cost) {
    for (int i = 0; i < 30; ++i) {
      pacer.sample(cpu, looks, now);
      now += milliseconds{250};
      looks += 100;
      cpu += 100 * cost;
    }
  };
  run(microseconds{20});
  EXPECT_NEAR(pacer.stretch(50'000), 2, 0.01);
  run(microseconds{200});
  EXPECT_NEAR(pacer.stretch(50'000), 20, 0.1);
  run(microseconds{20});
  EXPECT_NEAR(pacer.stretch(50'000), 2, 0.01);
}

TEST(ScrapePacer, ATimeWithoutLooksTellsNothingOfTheirCost) {
  ScrapePacer pacer{0.4};
  pacer.sample({}, 0, kStart);
  pacer.sample(milliseconds{1}, 10, kStart + seconds{1});
  pacer.sample(milliseconds{500}, 10, kStart + seconds{2});
  EXPECT_EQ(pacer.cost(), microseconds{100});
  pacer.sample(milliseconds{400}, 20, kStart + seconds{3});
  EXPECT_EQ(pacer.share(), 0) << "a clock that went back counts as one that stood";
}

}  // namespace
}  // namespace llmd::pool
