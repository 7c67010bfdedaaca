#include "health/signal_keeper.h"

#include <gtest/gtest.h>

#include <limits>

namespace llmd::health {
namespace {

constexpr TimePoint kStart{std::chrono::hours{1}};

TEST(SignalKeeper, KnowsNothingAtFirst) { EXPECT_EQ(SignalKeeper{}.signals(), nullptr); }

TEST(SignalKeeper, TellsTheRateOfErrorsOfLate) {
  SignalKeeper keeper;
  for (int i = 0; i < 8; ++i) keeper.on_request(/*failed=*/i % 4 == 0, kStart);
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kErrorRate].value, 0.25F);
  // After four half lives what was counts a sixteenth: (2/16 + 0) / (8/16 + 1).
  keeper.on_request(false, kStart + seconds{60});
  EXPECT_NEAR(*(*keeper.signals())[Signal::kErrorRate].value, 0.125 / 1.5, 1e-5);
}

TEST(SignalKeeper, AMeanMovesWithTimeHoweverOftenItIsTold) {
  SignalKeeper often;
  SignalKeeper seldom;
  for (int i = 0; i <= 40; ++i) {
    const TimePoint now = kStart + i * milliseconds{50};
    often.on_sample({.round_trip = milliseconds{i == 0 ? 10 : 20}}, now);
    if (i % 20 == 0) seldom.on_sample({.round_trip = milliseconds{i == 0 ? 10 : 20}}, now);
  }
  EXPECT_NEAR(*(*often.signals())[Signal::kLatencyMs].value, 13.6, 0.01) << "20 less 0.8 of what is missing, twice";
  EXPECT_NEAR(*(*seldom.signals())[Signal::kLatencyMs].value, 13.6, 0.01);
}

TEST(SignalKeeper, KeepsNamedNumbersSortedWithTheirAges) {
  SignalKeeper keeper;
  keeper.on_named("b", 2, kStart);
  keeper.on_named("a", 1, kStart + seconds{1});
  keeper.on_named("b", std::numeric_limits<float>::quiet_NaN(), kStart + seconds{2});
  keeper.on_named("b", 3, kStart + seconds{3});
  const auto signals = keeper.signals();
  ASSERT_EQ(signals->named.size(), 2U);
  EXPECT_EQ(signals->named[0].name, "a");
  EXPECT_EQ(signals->find("a")->at, kStart + seconds{1});
  EXPECT_EQ(signals->find("b")->value, 3.0F);
  EXPECT_EQ(signals->find("b")->at, kStart + seconds{3});
  EXPECT_EQ(signals->find("c"), nullptr);
}

TEST(SignalKeeper, TellsTheHitRatioBetweenTwoSamples) {
  SignalKeeper keeper;
  keeper.on_sample({.prefix_query_tokens = 1'000, .prefix_hit_tokens = 900}, kStart);
  EXPECT_EQ(keeper.signals(), nullptr) << "what was before the first look is not of late";
  keeper.on_sample({.prefix_query_tokens = 1'100, .prefix_hit_tokens = 950}, kStart + seconds{1});
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kCacheHitRatio].value, 0.5F);
  keeper.on_sample({.prefix_query_tokens = 1'200, .prefix_hit_tokens = 1'050}, kStart + seconds{2});
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kCacheHitRatio].value, 0.6F) << "a fifth of the way to 1";
  keeper.on_sample({.prefix_query_tokens = 1'200, .prefix_hit_tokens = 1'050}, kStart + seconds{3});
  EXPECT_EQ((*keeper.signals())[Signal::kCacheHitRatio].at, kStart + seconds{3}) << "idle is not stale";
  keeper.on_sample({.prefix_query_tokens = 10, .prefix_hit_tokens = 0}, kStart + seconds{4});
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kCacheHitRatio].value, 0.6F) << "a new process counts from 0";
}

TEST(SignalKeeper, CountsReadinessFromTheLastTimeItCameUp) {
  SignalKeeper keeper;
  keeper.on_ready(true, kStart);
  keeper.on_ready(true, kStart + seconds{5});
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kReadySeconds].value, 5.0F);
  keeper.on_ready(false, kStart + seconds{6});
  keeper.on_ready(true, kStart + seconds{8});
  keeper.on_ready(true, kStart + seconds{9});
  EXPECT_FLOAT_EQ(*(*keeper.signals())[Signal::kReadySeconds].value, 1.0F);
}

TEST(SignalKeeper, SmoothsTheRoundTripAndCopiesTheRest) {
  SignalKeeper keeper;
  keeper.on_sample({.queued_tokens = 100.0F, .cpu_use = 0.5F, .round_trip = milliseconds{10}}, kStart);
  keeper.on_sample({.queued_tokens = 50.0F, .round_trip = milliseconds{20}}, kStart + seconds{1});
  const EndpointSignals& signals = *keeper.signals();
  EXPECT_FLOAT_EQ(*signals[Signal::kLatencyMs].value, 12.0F);
  EXPECT_FLOAT_EQ(*signals[Signal::kQueuedTokens].value, 50.0F);
  EXPECT_EQ(signals[Signal::kCpuUse].at, kStart);
  EXPECT_FALSE(signals[Signal::kGpuUse].value.has_value());
}

TEST(SignalKeeper, LeavesPublishedSignalsAsTheyAre) {
  SignalKeeper keeper;
  keeper.on_request(false, kStart);
  const auto before = keeper.signals();
  EXPECT_EQ(keeper.signals(), before) << "nothing has changed";
  keeper.on_request(true, kStart);
  EXPECT_EQ(*(*before)[Signal::kErrorRate].value, 0.0F);
  EXPECT_NE(keeper.signals(), before);
}

}  // namespace
}  // namespace llmd::health
