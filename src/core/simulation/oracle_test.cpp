#include "simulation/oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "simulation/fleet.h"
#include "simulation/policies/make_policy.h"
#include "simulation/summary.h"
#include "simulation/to_duration.h"
#include "simulation/workloads/catalog.h"

namespace llmd::simulation {
namespace {

constexpr std::uint32_t kBlock = 64;
constexpr TimePoint kNow{std::chrono::hours{1}};

SimRequest request(std::uint64_t id, std::uint64_t name, std::uint32_t prompt, std::uint32_t output) {
  SimRequest made{.id = id, .prompt_tokens = prompt, .output_tokens = output};
  for (std::uint32_t i = 0; i < (prompt + output) / kBlock; ++i)
    made.blocks.push_back(chain_block(made.blocks.empty() ? 0 : made.blocks.back(), name));
  return made;
}

/// An engine that is stepped by hand, with its own time.
struct Driven {
  explicit Driven(const HardwareProfile& profile) : engine{profile, kBlock, false} {}
  void begin(TimePoint at) { ends = engine.busy() ? std::optional{at + engine.begin_step()} : std::nullopt; }
  SimEngine engine;
  std::optional<TimePoint> ends{};
};

TEST(Oracle, TellsWhenTheFirstTokenComesIfNobodyComesAfter) {
  HardwareProfile profile;
  profile.batching.classes = {{.slots = 3, .tokens_max = 8'192}};  // so that some wait
  Rng rng{7};
  Driven driven{profile};
  std::vector<std::unique_ptr<SimRequest>> requests;
  TimePoint now = kNow;
  const auto end_step = [&] {
    now = *driven.ends;
    const std::vector<EngineEvent> events = driven.engine.end_step();
    driven.begin(now);
    return events;
  };
  for (std::uint64_t id = 1; id <= 40; ++id) {
    for (std::uint64_t steps = rng.below(30); steps > 0 && driven.ends; --steps) (void)end_step();
    requests.push_back(
        std::make_unique<SimRequest>(request(id, rng.below(4), static_cast<std::uint32_t>(100 + rng.below(5'000)),
                                             static_cast<std::uint32_t>(1 + rng.below(80)))));
    const SimRequest& asked = *requests.back();
    const auto told = time_to_first_token({.engine = driven.engine, .step_ends = driven.ends}, asked, profile, now);
    ASSERT_TRUE(told.has_value());
    if (id % 4 != 0) {
      ASSERT_TRUE(driven.engine.submit(asked, asked.output_tokens));
      if (!driven.ends) driven.begin(now);
      continue;
    }
    // A copy went ahead; now the engine itself goes the same way.
    const TimePoint began = now;
    const TimePoint arrives = now + to_duration(profile.submit_s);
    while (driven.ends && *driven.ends <= arrives) (void)end_step();
    ASSERT_TRUE(driven.engine.submit(asked, asked.output_tokens));
    if (!driven.ends) driven.begin(arrives);
    const auto is_it = [&](const EngineEvent& event) { return event.request == id && event.first_token; };
    while (!std::ranges::any_of(end_step(), is_it)) {
    }
    EXPECT_EQ(*told, now + to_duration(profile.stream_s) - began) << id;
  }
}

TEST(Oracle, SeesSlowAndPausedEndpointsAndRefusals) {
  const HardwareProfile profile;
  const SimEngine engine{profile, kBlock, false};
  const SimRequest asked = request(1, 1, 640, 4);
  const auto usual = time_to_first_token({.engine = engine}, asked, profile, kNow);
  const auto slow = time_to_first_token({.engine = engine, .slow = 3}, asked, profile, kNow);
  const auto paused = time_to_first_token({.engine = engine, .paused_until = kNow + seconds{2}}, asked, profile, kNow);
  ASSERT_TRUE(usual && slow && paused);
  EXPECT_GT(*slow, *usual * 2);
  EXPECT_GT(*paused, seconds{2});
  EXPECT_FALSE(time_to_first_token({.engine = engine}, request(2, 1, 1'000'000, 4), profile, kNow).has_value());
}

TEST(Oracle, CountsChoicesWithinATenthOrAMillisecondAsTheBest) {
  const std::array<std::optional<Duration>, 4> times{milliseconds{100}, milliseconds{109}, std::nullopt,
                                                     milliseconds{150}};
  OracleTally tally;
  judge(times, 0, tally);
  judge(times, 1, tally);
  EXPECT_EQ(tally.best, 2U);
  judge(times, 2, tally);
  judge(times, 3, tally);
  EXPECT_EQ(tally.best, 2U);
  EXPECT_EQ(tally.decisions, 4U);
  EXPECT_DOUBLE_EQ(tally.regret_ms, 0 + 9 + 50 + 50);
  const std::array<std::optional<Duration>, 2> near{microseconds{100}, microseconds{900}};
  judge(near, 1, tally);
  EXPECT_EQ(tally.best, 3U);
  judge(std::array<std::optional<Duration>, 1>{}, 0, tally);
  EXPECT_EQ(tally.decisions, 5U) << "nobody can serve: no choice";
}

TEST(Oracle, WatchesWithoutChangingTheRun) {
  std::vector<Summary> seen;
  for (const std::uint32_t every : {0U, 5U}) {
    const auto workload = make_workload("agents", {.requests = 300, .rate_per_s = 20, .seed = 3});
    const auto policy = make_policy("round-robin", 1);
    const FleetResult result = run_fleet({.endpoints = 4, .oracle_every = every}, *workload, *policy);
    seen.push_back(summarise(result, {}));
  }
  EXPECT_EQ(seen[0].oracle_decisions, 0U);
  EXPECT_GE(seen[1].oracle_decisions, 60U);
  EXPECT_GT(seen[1].best_instance, 0.05);
  EXPECT_LT(seen[1].best_instance, 0.9) << "round robin knows nothing";
  EXPECT_GT(seen[1].regret_ms, 1);
  EXPECT_EQ(seen[0].ttft_ms.p99, seen[1].ttft_ms.p99);
  EXPECT_EQ(seen[0].total_ms.p50, seen[1].total_ms.p50);
}

}  // namespace
}  // namespace llmd::simulation
