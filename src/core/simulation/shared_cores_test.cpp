#include "simulation/shared_cores.h"

#include <gtest/gtest.h>

namespace llmd::simulation {
namespace {

constexpr TimePoint kStart{seconds{100}};

TimePoint at_ms(int ms) { return kStart + milliseconds{ms}; }

double ends_ms(const SharedCores& cores, std::uint32_t worker) { return to_milliseconds(cores.ends(worker) - kStart); }

TEST(SharedCores, AStepAloneTakesItsTime) {
  SharedCores cores{2, 1};
  cores.begin(0, milliseconds{40}, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 40, 0.001);
}

TEST(SharedCores, TwoOnOneCoreTakeTurns) {
  SharedCores cores{2, 1};
  cores.begin(0, milliseconds{40}, kStart);
  cores.begin(1, milliseconds{20}, at_ms(10));  // 30 ms are left of the first
  EXPECT_NEAR(ends_ms(cores, 1), 50, 0.001);
  EXPECT_NEAR(ends_ms(cores, 0), 70, 0.001);
  cores.end(1, at_ms(50));  // alone again, with 10 ms left
  EXPECT_NEAR(ends_ms(cores, 0), 60, 0.001);
}

TEST(SharedCores, CoresDoNotTouchEachOther) {
  SharedCores cores{4, 2};
  cores.begin(0, milliseconds{40}, kStart);
  cores.begin(1, milliseconds{40}, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 40, 0.001);
  cores.begin(2, milliseconds{40}, kStart);  // on the core of 0
  EXPECT_NEAR(ends_ms(cores, 0), 80, 0.001);
  EXPECT_NEAR(ends_ms(cores, 1), 40, 0.001);
  EXPECT_EQ(cores.running_beside(0).size(), 2U);
  cores.end(3, at_ms(5));  // had none
  EXPECT_NEAR(ends_ms(cores, 1), 40, 0.001);
}

}  // namespace
}  // namespace llmd::simulation
