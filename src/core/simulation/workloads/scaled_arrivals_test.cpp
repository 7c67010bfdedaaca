#include "simulation/workloads/scaled_arrivals.h"

#include <gtest/gtest.h>

#include <cmath>

#include "simulation/workloads/catalog.h"

namespace llmd::simulation {
namespace {

TEST(ScaledArrivals, MovesFirstTurnsAndNothingElse) {
  const auto plain = make_workload("chat", {.requests = 500});
  ScaledArrivals scaled{make_workload("chat", {.requests = 500}), 0.25};
  EXPECT_EQ(scaled.block_tokens(), plain->block_tokens());
  Duration last{};
  while (const auto request = plain->next()) {
    const auto moved = scaled.next();
    ASSERT_TRUE(moved);
    EXPECT_NEAR(to_seconds(moved->arrival), to_seconds(request->arrival) / 4, 1e-6);
    EXPECT_GE(moved->arrival, last);
    last = moved->arrival;
    EXPECT_EQ(moved->blocks, request->blocks);
    if (request->next_turn) {
      EXPECT_EQ(moved->next_turn->arrival, request->next_turn->arrival);
    }
  }
  EXPECT_FALSE(scaled.next());
}

TEST(ScaledArrivals, TakesNoFactorThatLeadsBack) {
  for (const double factor : {0.0, -1.0, std::nan("")}) {
    ScaledArrivals scaled{make_workload("uniform", {.requests = 10}), factor};
    while (const auto request = scaled.next()) EXPECT_EQ(request->arrival, Duration{});
  }
}

}  // namespace
}  // namespace llmd::simulation
