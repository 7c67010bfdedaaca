// Endpoints that stand out, in fleets under several policies: what outlier detection saves, and whom it wrongs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "simulation/fleet.h"
#include "simulation/policies/make_policy.h"
#include "simulation/summary.h"
#include "simulation/workloads/catalog.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kEndpoints = 16;

struct Scene {
  std::string_view policy = "least-requests";
  std::string_view workload = "chat";
  double rate_per_s = 16;
  std::uint64_t requests = 6'000;
  std::uint64_t seed = 1;
  bool detects = true;
  std::vector<Fault> faults{};
};

FleetResult run(const Scene& scene) {
  FleetOptions options{.endpoints = kEndpoints, .seed = scene.seed, .faults = scene.faults};
  options.scrape_interval = milliseconds{200};
  options.outliers.enabled = scene.detects;
  const auto workload =
      make_workload(scene.workload, {.requests = scene.requests, .rate_per_s = scene.rate_per_s, .seed = scene.seed});
  const auto policy = make_policy(scene.policy, scene.seed);
  return run_fleet(options, *workload, *policy);
}

std::size_t ejections(const FleetResult& result) {
  std::size_t count = 0;
  for (const ShareChange& change : result.share_changes) count += change.share.share == 0.5F ? 1 : 0;
  return count;
}

constexpr std::string_view kPolicies[] = {"llm-d-default", "least-requests", "expected-latency"};

Fault slows(std::uint32_t endpoint, double factor, Duration at = seconds{20}) {
  return {.at = at, .endpoint = endpoint, .kind = Fault::Kind::kSlows, .factor = factor};
}

constexpr std::pair<std::string_view, double> kLoads[] = {{"chat", 45},  {"documents", 2},      {"documents", 6},
                                                          {"agents", 8}, {"shared-prefix", 30}, {"tenants", 20}};

TEST(OutlierFleet, WrongsNobodyInHealthyFleetsHoweverSkewed) {
  std::size_t wronged = 0;
  for (const auto& [workload, rate] : kLoads) {
    for (const std::string_view policy : kPolicies) {
      const FleetResult result = run({.policy = policy, .workload = workload, .rate_per_s = rate, .requests = 2'000});
      wronged += ejections(result);
      EXPECT_LE(ejections(result), 1U) << policy << " on " << workload;
    }
  }
  EXPECT_LE(wronged, 1U) << "of 288 endpoints, of which none was slow";
}

TEST(OutlierFleet, KeepsTheTailShortWhenAnEndpointIsFourTimesAsSlow) {
  for (const std::string_view policy : kPolicies) {
    Scene scene{.policy = policy, .workload = "agents", .rate_per_s = 8, .detects = false, .faults = {slows(3, 4)}};
    const FleetResult left_alone = run(scene);
    scene.detects = true;
    const FleetResult detected = run(scene);
    const Summary before = summarise(left_alone, {});
    const Summary after = summarise(detected, {});
    fmt::print("{:17} goodput {:.4f} -> {:.4f}, TTFT p99 {:.0f} -> {:.0f} ms, requests to it {} -> {}\n", policy,
               before.goodput, after.goodput, before.ttft_ms.p99, after.ttft_ms.p99, left_alone.sent[3],
               detected.sent[3]);
    EXPECT_GE(after.goodput, before.goodput - 0.001) << policy;
    EXPECT_LE(after.ttft_ms.p99, before.ttft_ms.p99 * 1.05) << policy;
    EXPECT_EQ(after.failed, 0U) << policy;
    EXPECT_GE(ejections(detected), 1U) << policy;
    for (const ShareChange& change : detected.share_changes) EXPECT_EQ(change.endpoint, 3U) << policy;
    if (policy != "expected-latency") {  // which avoids it by itself
      EXPECT_LT(detected.sent[3], left_alone.sent[3] * 3 / 4) << policy;
      EXPECT_LT(after.ttft_ms.p99, before.ttft_ms.p99) << policy;
    }
  }
}

TEST(OutlierFleet, ReadmitsWithinTwoMinutesOfRecovery) {
  constexpr Duration kRecovery = seconds{200};
  for (const std::string_view policy : {"llm-d-default", "least-requests"}) {
    const FleetResult result = run(
        {.policy = policy, .workload = "agents", .rate_per_s = 12, .faults = {slows(3, 6), slows(3, 1, kRecovery)}});
    ASSERT_FALSE(result.share_changes.empty()) << policy;
    float lowest = 1;
    for (const ShareChange& change : result.share_changes) lowest = std::min(lowest, change.share.share);
    EXPECT_LE(lowest, 0.25F) << policy;  // with a quarter of its traffic llm-d-default sends nothing there
    const ShareChange& last = result.share_changes.back();
    EXPECT_EQ(last.share.share, 1) << policy;
    EXPECT_LT(last.at - TimePoint{std::chrono::hours{1}}, kRecovery + seconds{120}) << policy;
  }
}

TEST(OutlierFleet, LeavesTwoThirdsWhateverHappens) {
  Scene scene{.workload = "agents", .rate_per_s = 6, .requests = 4'000};
  for (std::uint32_t i = 0; i < 7; ++i) scene.faults.push_back(slows(i, 4));
  const FleetResult result = run(scene);
  std::set<std::uint32_t> reduced;
  std::size_t peak = 0;
  for (const ShareChange& change : result.share_changes) {
    if (change.share.share < 1) {
      reduced.insert(change.endpoint);
    } else {
      reduced.erase(change.endpoint);
    }
    peak = std::max(peak, reduced.size());
  }
  EXPECT_LE(peak, kEndpoints / 3);
  EXPECT_GE(peak, 2U);
  EXPECT_EQ(summarise(result, {}).failed, 0U);
}

}  // namespace
}  // namespace llmd::simulation
