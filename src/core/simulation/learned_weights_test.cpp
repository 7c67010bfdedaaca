#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "simulation/fleet.h"
#include "simulation/policies/llmd_policy.h"
#include "simulation/summary.h"
#include "simulation/workloads/catalog.h"

namespace llmd::simulation {
namespace {

constexpr float kTtftMs = 400;
constexpr float kTpotMs = 30;

scheduling::SchedulingConfig config(bool learns) {
  scheduling::SchedulingConfig config;
  for (const char* type : {"queue-scorer", "active-request-scorer", "prefix-cache-scorer"})
    config.plugins.push_back({.name = type, .type = type});
  if (learns) {
    scheduling::Parameters parameters;
    parameters.set("ttftObjectiveMs", double{kTtftMs});
    parameters.set("tpotObjectiveMs", double{kTpotMs});
    config.plugins.push_back({.name = "weight-learner", .type = "weight-learner", .parameters = std::move(parameters)});
  }
  config.profiles.push_back(
      {.name = "default", .plugins = {{"queue-scorer", 2}, {"active-request-scorer", 2}, {"prefix-cache-scorer", 3}}});
  return config;
}

double goodput(std::string_view workload, double rate_per_s, std::uint64_t count, bool learns) {
  auto policy = LlmdPolicy::make(config(learns), {.seed = 1});
  EXPECT_TRUE(policy.has_value());
  const auto requests = make_workload(workload, {.requests = count, .rate_per_s = rate_per_s, .seed = 1});
  const FleetResult result = run_fleet({.endpoints = 8, .seed = 1}, *requests, **policy);
  return summarise(result, {.ttft_ms = kTtftMs, .tpot_ms = kTpotMs}).goodput;
}

TEST(LearnedWeights, GainOnTrafficWhoseBestWeightsChangeAtHalfTime) {
  EXPECT_GT(goodput("flip", 22.4, 40'000, true), goodput("flip", 22.4, 40'000, false));
}

TEST(LearnedWeights, CostLittleWhereTheConfiguredOnesAreBest) {
  EXPECT_GT(goodput("tenants", 29, 24'000, true), goodput("tenants", 29, 24'000, false) - 0.03);
}

TEST(LearnedWeights, DoNotCostMoreWhereTheFleetCannotServeAll) {
  EXPECT_GT(goodput("flip", 42, 24'000, true), goodput("flip", 42, 24'000, false) - 0.03);
}

}  // namespace
}  // namespace llmd::simulation
