#include "model/traffic_share.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

TEST(TrafficShare, LetsThatShareOfRequestsThroughAndTheSameOnesEachTime) {
  const TrafficShare half{.share = 0.5F, .observed = 3.2F, .cause = TrafficShare::Cause::kSlow};
  std::uint32_t through = 0;
  std::uint32_t both = 0;
  for (std::uint64_t request = 0; request < 10'000; ++request) {
    const bool a = admits(half, request, "a", 5, kNow);
    EXPECT_EQ(a, admits(half, request, "a", 0, kNow));
    through += a ? 1 : 0;
    both += a && admits(half, request, "b", 5, kNow) ? 1 : 0;
  }
  EXPECT_NEAR(through, 5'000, 200);
  EXPECT_NEAR(both, 2'500, 200) << "endpoints answer independently";
}

TEST(TrafficShare, ProbesGoOneAtATimeAndWhenItIsTime) {
  const TrafficShare ejected{.share = 0, .cause = TrafficShare::Cause::kFailing, .probe_from = kNow};
  EXPECT_TRUE(admits(ejected, 1, "a", 0, kNow));
  EXPECT_FALSE(admits(ejected, 1, "a", 1, kNow));
  EXPECT_FALSE(admits(ejected, 1, "a", 0, kNow - milliseconds{1}));
  EXPECT_TRUE(admits({}, 1, "a", 1'000, kNow));
}

TEST(TrafficShare, SaysWhy) {
  EXPECT_EQ(describe({.share = 0.5F, .observed = 3.2F, .cause = TrafficShare::Cause::kSlow}),
            "half ejected: 3.2 times as slow as its peers");
  EXPECT_EQ(describe({.share = 0.25F, .observed = 0.3F, .cause = TrafficShare::Cause::kFailing}),
            "ejected but for 25 % of its traffic: 30 % of its requests failed, more than its peers'");
  EXPECT_EQ(describe({.share = 0, .observed = 8, .cause = TrafficShare::Cause::kSlow}),
            "ejected but for probes: 8.0 times as slow as its peers");
}

}  // namespace
}  // namespace llmd
