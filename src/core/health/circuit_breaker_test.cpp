#include "health/circuit_breaker.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/rng.h"

namespace llmd::health {
namespace {

class CircuitBreakerTest : public ::testing::Test {
 protected:
  void fail_times(int times, FailureKind kind = FailureKind::kServerError) {
    for (int i = 0; i < times; ++i) breaker.on_failure(kind, clock.now());
  }
  [[nodiscard]] BreakerState state() const { return breaker.state(clock.now()); }

  ManualClock clock;
  CircuitBreaker breaker{{}};
};

TEST_F(CircuitBreakerTest, OpensAfterThreeFailuresInARow) {
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed);
  breaker.on_success(clock.now());
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed);
  fail_times(1);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(breaker.opened_total(), 1U);
}

TEST_F(CircuitBreakerTest, OpensAtTheFirstRefusedConnection) {
  fail_times(1, FailureKind::kConnect);
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, OpensAtTheFailureRateOnceEnoughRequestsEnded) {
  for (int i = 0; i < 9; ++i) {
    fail_times(1);
    breaker.on_success(clock.now());
  }
  EXPECT_EQ(state(), BreakerState::kClosed) << "18 requests are too few to judge";
  breaker.on_success(clock.now());
  fail_times(1);
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, ForgetsFailuresOlderThanTheWindow) {
  for (int i = 0; i < 9; ++i) {
    fail_times(1);
    breaker.on_success(clock.now());
  }
  clock.advance(seconds{11});
  breaker.on_success(clock.now());
  fail_times(1);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, TriesAfterThePauseAndClosesOnSuccess) {
  fail_times(3);
  clock.advance(milliseconds{999});
  EXPECT_EQ(state(), BreakerState::kOpen);
  clock.advance(milliseconds{1});
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  breaker.on_success(clock.now());
  EXPECT_EQ(state(), BreakerState::kClosed);
  fail_times(2);
  EXPECT_EQ(state(), BreakerState::kClosed) << "old failures count no more";
}

TEST_F(CircuitBreakerTest, DoublesThePauseWithEachFailedTrialUpToItsLimit) {
  fail_times(3);
  for (const int pause_ms : {1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000}) {
    EXPECT_EQ(breaker.open_until() - clock.now(), milliseconds{pause_ms});
    clock.advance(milliseconds{pause_ms});
    ASSERT_EQ(state(), BreakerState::kHalfOpen);
    fail_times(1);
    ASSERT_EQ(state(), BreakerState::kOpen);
  }
  clock.advance(seconds{30});
  breaker.on_success(clock.now());
  fail_times(3);
  EXPECT_EQ(breaker.open_until() - clock.now(), seconds{1}) << "a success brings back the first pause";
}

TEST_F(CircuitBreakerTest, LateResultsDuringThePauseChangeNothing) {
  fail_times(3);
  const TimePoint until = breaker.open_until();
  clock.advance(milliseconds{500});
  breaker.on_success(clock.now());
  fail_times(5);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(breaker.open_until(), until);
}

TEST_F(CircuitBreakerTest, ReachabilityEndsOnlyAPauseForRefusedConnections) {
  fail_times(1, FailureKind::kConnect);
  breaker.on_reachable(clock.now());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  breaker.on_success(clock.now());
  fail_times(3, FailureKind::kServerError);
  breaker.on_reachable(clock.now());
  EXPECT_EQ(state(), BreakerState::kOpen);
}

TEST_F(CircuitBreakerTest, WaitsForAllTrialsThatItNeeds) {
  breaker = CircuitBreaker{{.trials_needed = 2}};
  fail_times(3);
  clock.advance(seconds{1});
  breaker.on_success(clock.now());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  breaker.on_success(clock.now());
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, AlwaysLetsAnEndpointBackWithinItsLongestPause) {
  Rng rng{7};
  for (int step = 0; step < 20'000; ++step) {
    clock.advance(milliseconds{rng.below(400)});
    if (rng.chance(0.5)) {
      breaker.on_success(clock.now());
    } else {
      breaker.on_failure(static_cast<FailureKind>(rng.below(4)), clock.now());
    }
    ASSERT_NE(breaker.state(clock.now() + seconds{30}), BreakerState::kOpen) << "step " << step;
  }
  EXPECT_GT(breaker.opened_total(), 10U);
}

}  // namespace
}  // namespace llmd::health
