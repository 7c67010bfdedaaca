#include "base/budget.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

namespace llmd {
namespace {

TEST(Budget, RefusesWhatDoesNotFitAndCountsIt) {
  Budget budget{"test", 100};
  EXPECT_TRUE(budget.try_charge(60));
  EXPECT_FALSE(budget.try_charge(41));
  EXPECT_FALSE(budget.try_charge(std::numeric_limits<std::size_t>::max()));  // no overflow to a small number
  EXPECT_TRUE(budget.try_charge(40));
  EXPECT_EQ(budget.used_bytes(), 100U);
  EXPECT_EQ(budget.refusals(), 2U);
}

TEST(Charge, GivesBackOnDestructionAndOnlyOnceAfterAMove) {
  Budget budget{"test", 100};
  {
    Charge first{budget, 70};
    ASSERT_TRUE(first);
    const Charge refused{budget, 70};
    EXPECT_FALSE(refused);
    Charge second = std::move(first);
    EXPECT_EQ(budget.used_bytes(), 70U);
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(Budget, NeverExceedsItsLimitUnderConcurrentCharges) {
  Budget budget{"test", 50};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int step = 0; step < 10'000; ++step) {
        const Charge charge{budget, 20};
        EXPECT_LE(budget.used_bytes(), 50U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(budget.used_bytes(), 0U);
}

}  // namespace
}  // namespace llmd
