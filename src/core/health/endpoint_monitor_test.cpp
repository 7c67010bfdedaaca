#include "health/endpoint_monitor.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "health/freshness.h"

namespace llmd::health {
namespace {

class EndpointMonitorTest : public ::testing::Test {
 protected:
  [[nodiscard]] EndpointHealth health() const { return monitor.verdict(clock.now()).health; }

  ManualClock clock;
  EndpointMonitor monitor{{}};
};

TEST_F(EndpointMonitorTest, IsUnknownUntilReachedAndReadyAfter) {
  EXPECT_EQ(health(), EndpointHealth::kUnknown);
  monitor.on_contact(ContactResult::kTimeout, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kUnknown);
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
}

TEST_F(EndpointMonitorTest, IsReadyByRequestsAloneIfItHasNoMetrics) {
  monitor.on_request_success(clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
}

TEST_F(EndpointMonitorTest, IsDownAfterTwoRefusedContactsAndBackAtTheFirstAnswer) {
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  monitor.on_contact(ContactResult::kRefused, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
  monitor.on_contact(ContactResult::kRefused, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kDown);
  EXPECT_EQ(monitor.verdict(clock.now()).reason, "it refuses connections");
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
}

TEST_F(EndpointMonitorTest, ABusyEndpointThatMissesScrapesStays) {
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  for (int i = 0; i < 100; ++i) monitor.on_contact(ContactResult::kTimeout, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
}

TEST_F(EndpointMonitorTest, ADeadEndpointIsAvoidedAtOnceAndTriedWhenItListensAgain) {
  monitor.on_request_success(clock.now());
  monitor.on_request_failure(FailureKind::kConnect, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kDown);
  EXPECT_EQ(monitor.verdict(clock.now()).reason, "its circuit breaker is open");
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kProbing);
  monitor.on_request_success(clock.now());
  EXPECT_EQ(health(), EndpointHealth::kReady);
}

TEST_F(EndpointMonitorTest, NoRequestTriesADeadEndpointThatContactsFindDeadToo) {
  monitor.on_request_success(clock.now());
  monitor.on_request_failure(FailureKind::kConnect, clock.now());
  monitor.on_contact(ContactResult::kRefused, clock.now());
  clock.advance(std::chrono::minutes{1});
  EXPECT_EQ(health(), EndpointHealth::kDown) << "the breaker's pause is over long ago";
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kProbing);
}

TEST_F(EndpointMonitorTest, DrainingShowsUnlessItIsDown) {
  monitor.on_contact(ContactResult::kAnswered, clock.now());
  monitor.set_draining(true);
  EXPECT_EQ(health(), EndpointHealth::kDraining);
  monitor.on_request_failure(FailureKind::kConnect, clock.now());
  EXPECT_EQ(health(), EndpointHealth::kDown);
  clock.advance(seconds{1});
  EXPECT_EQ(health(), EndpointHealth::kDraining) << "one that drains is not put on trial";
  monitor.set_draining(false);
  EXPECT_EQ(health(), EndpointHealth::kProbing);
}

TEST(Freshness, TellsFreshStaleAndMissingApart) {
  const ManualClock clock;
  const TimePoint now = clock.now();
  EXPECT_EQ(freshness_of(Reading<int>{1, now - seconds{2}}, now, seconds{2}), Freshness::kFresh);
  EXPECT_EQ(freshness_of(Reading<int>{1, now - seconds{3}}, now, seconds{2}), Freshness::kStale);
  EXPECT_EQ(freshness_of(Reading<int>{}, now, seconds{2}), Freshness::kMissing);
  EXPECT_EQ(age_of(Reading<int>{1, now + seconds{5}}, now), Duration{})
      << "a clock ahead of ours gives no negative age";
}

}  // namespace
}  // namespace llmd::health
