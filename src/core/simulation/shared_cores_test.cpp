#include "simulation/shared_cores.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmd::simulation {
namespace {

using Workers = std::vector<std::uint32_t>;

constexpr TimePoint kStart{seconds{100}};

TimePoint at_ms(int ms) { return kStart + milliseconds{ms}; }

double ends_ms(const SharedCores& cores, std::uint32_t worker) { return to_milliseconds(cores.ends(worker) - kStart); }

Workers list(std::span<const std::uint32_t> moved) { return {moved.begin(), moved.end()}; }

TEST(SharedCores, AStepAloneTakesItsTime) {
  SharedCores cores{{.workers = 2, .cores = 1, .neighbour_slowdown = 0.5, .sharing_slowdown = 0.5}};
  EXPECT_EQ(list(cores.begin(0, milliseconds{40}, kStart)), Workers{0});
  EXPECT_NEAR(ends_ms(cores, 0), 40, 0.001);
}

TEST(SharedCores, TwoOnOneCoreTakeTurns) {
  SharedCores cores{{.workers = 2, .cores = 1}};
  cores.begin(0, milliseconds{40}, kStart);
  EXPECT_EQ(list(cores.begin(1, milliseconds{20}, at_ms(10))), (Workers{0, 1}));  // 30 ms are left of the first
  EXPECT_NEAR(ends_ms(cores, 1), 50, 0.001);
  EXPECT_NEAR(ends_ms(cores, 0), 70, 0.001);
  EXPECT_EQ(list(cores.end(1, at_ms(50))), Workers{0});  // alone again, with 10 ms left
  EXPECT_NEAR(ends_ms(cores, 0), 60, 0.001);
}

TEST(SharedCores, CoresDoNotTouchEachOtherUnlessTheProfileSaysSo) {
  SharedCores cores{{.workers = 4, .cores = 2}};
  cores.begin(0, milliseconds{40}, kStart);
  EXPECT_EQ(list(cores.begin(1, milliseconds{40}, kStart)), Workers{1});
  EXPECT_NEAR(ends_ms(cores, 0), 40, 0.001);
  EXPECT_EQ(list(cores.begin(2, milliseconds{40}, kStart)), (Workers{0, 2}));  // on the core of 0
  EXPECT_NEAR(ends_ms(cores, 0), 80, 0.001);
  EXPECT_NEAR(ends_ms(cores, 1), 40, 0.001);
  EXPECT_TRUE(cores.end(3, at_ms(5)).empty()) << "it had none";
  EXPECT_NEAR(ends_ms(cores, 1), 40, 0.001);
}

TEST(SharedCores, ABusyNeighbourSlowsAStepDownWhileItIsBusy) {
  SharedCores cores{{.workers = 2, .cores = 2, .neighbour_slowdown = 0.25}};
  cores.begin(0, milliseconds{40}, kStart);
  EXPECT_EQ(list(cores.begin(1, milliseconds{16}, at_ms(20))), (Workers{0, 1}));
  EXPECT_NEAR(ends_ms(cores, 0), 45, 0.001);  // 20 ms are left, 1.25 times as long
  EXPECT_NEAR(ends_ms(cores, 1), 40, 0.001);
  EXPECT_EQ(list(cores.end(1, at_ms(40))), Workers{0});  // 16 of the 20 ms are done
  EXPECT_NEAR(ends_ms(cores, 0), 44, 0.001);
}

TEST(SharedCores, EachOtherBusyCoreCountsOnceHoweverManyItRuns) {
  SharedCores cores{{.workers = 6, .cores = 3, .neighbour_slowdown = 0.1}};
  cores.begin(0, milliseconds{100}, kStart);
  cores.begin(1, milliseconds{100}, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 110, 0.001);
  EXPECT_EQ(list(cores.begin(4, milliseconds{100}, kStart)), (Workers{1, 4})) << "its core was busy before";
  EXPECT_NEAR(ends_ms(cores, 0), 110, 0.001);
  EXPECT_NEAR(ends_ms(cores, 1), 220, 0.001);
  EXPECT_EQ(list(cores.begin(2, milliseconds{100}, kStart)), (Workers{0, 1, 4, 2}));
  EXPECT_NEAR(ends_ms(cores, 0), 120, 0.001);
  EXPECT_NEAR(ends_ms(cores, 1), 240, 0.001);
  EXPECT_EQ(list(cores.end(4, kStart)), Workers{1}) << "its core is still busy";
  EXPECT_NEAR(ends_ms(cores, 0), 120, 0.001);
}

TEST(SharedCores, SharingACoreCostsMoreThanTurns) {
  SharedCores cores{{.workers = 4, .cores = 2, .neighbour_slowdown = 0.1, .sharing_slowdown = 0.05}};
  cores.begin(0, milliseconds{100}, kStart);
  cores.begin(2, milliseconds{100}, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 210, 0.001);
  cores.begin(1, milliseconds{100}, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 231, 0.001);
  EXPECT_NEAR(ends_ms(cores, 1), 110, 0.001);
  cores.end(2, kStart);
  EXPECT_NEAR(ends_ms(cores, 0), 110, 0.001) << "alone on its core";
}

TEST(SharedCores, TheLongestStepStillHasAnEnd) {
  SharedCores cores{{.workers = 4, .cores = 2, .neighbour_slowdown = 10, .sharing_slowdown = 10}};
  for (const std::uint32_t worker : {0U, 1U, 2U, 3U}) cores.begin(worker, std::chrono::hours{24 * 365 * 3}, kStart);
  EXPECT_GT(cores.ends(0), kStart + std::chrono::hours{24 * 365 * 30});
}

}  // namespace
}  // namespace llmd::simulation
