#include "health/flat_readings.h"

#include <gtest/gtest.h>

namespace llmd::health {
namespace {

/// Scrapes an endpoint each second.
struct Watched {
  ManualClock clock;
  FlatReadings flats;
  EndpointState state;

  void scrape(std::uint32_t running, float kv_usage, std::uint32_t inflight, std::uint32_t waiting = 0) {
    clock.advance(seconds{1});
    flats.on_ended();
    flats.on_ended();
    state.running_requests = {running, clock.now()};
    state.waiting_requests = {waiting, clock.now()};
    state.kv_usage = {kv_usage, clock.now()};
    flats.on_scrape(state, inflight, clock.now());
  }
};

TEST(FlatReadings, AZeroWhileRequestsRunIsFlatAndCountsAsMissing) {
  Watched watched;
  for (std::uint32_t i = 0; i < 30; ++i) {
    watched.scrape(1 + i % 3, 0, 1 + i % 3);
    const bool flat = i + 1 >= FlatReadings::kScrapes;
    EXPECT_EQ(watched.flats.flat(LoadReading::kKvUsage), flat) << i;
    EXPECT_EQ(watched.state.kv_usage.value.has_value(), !flat) << i;
  }
  EXPECT_TRUE(watched.state.running_requests.value.has_value());
  EXPECT_TRUE(watched.state.waiting_requests.value.has_value()) << "a queue is often empty";
  watched.scrape(1, 0.1F, 1);
  EXPECT_FALSE(watched.flats.flat(LoadReading::kKvUsage)) << "it moves";
  EXPECT_EQ(watched.state.kv_usage.value, 0.1F);
}

TEST(FlatReadings, AValueThatStaysWhileRequestsComeAndGoIsFlat) {
  Watched watched;
  for (std::uint32_t i = 0; i < 25; ++i) watched.scrape(7, 0.5F + 0.01F * static_cast<float>(i), i % 2 == 0 ? 0 : 3, 4);
  EXPECT_TRUE(watched.flats.flat(LoadReading::kRunning));
  EXPECT_TRUE(watched.flats.flat(LoadReading::kWaiting));
  EXPECT_FALSE(watched.flats.flat(LoadReading::kKvUsage));
}

TEST(FlatReadings, AFullAnIdleAndAQuietEndpointAreNot) {
  Watched full;
  for (std::uint32_t i = 0; i < 40; ++i) full.scrape(8, 1, 10 + i % 5, 1 + i % 5);
  Watched idle;
  for (std::uint32_t i = 0; i < 40; ++i) idle.scrape(0, 0, 0);
  Watched quiet;  // scrapes always miss its short requests
  for (std::uint32_t i = 0; i < 40; ++i) quiet.scrape(0, 0, i % 8 == 0 ? 1 : 0);
  for (const Watched* each : {&full, &idle, &quiet}) {
    EXPECT_FALSE(each->flats.flat(LoadReading::kRunning));
    EXPECT_FALSE(each->flats.flat(LoadReading::kKvUsage));
    EXPECT_FALSE(each->flats.flat(LoadReading::kWaiting));
  }
}

}  // namespace
}  // namespace llmd::health
