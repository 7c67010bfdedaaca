// What an explanation tells beside scores and reasons, and that telling it changes nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"
#include "prefix/prefix_index.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::EndpointSpec;
using testing::kNow;

SchedulingConfig with_picker(const char* picker) {
  return {.plugins = {{.type = "queue-scorer"}, {.type = "active-request-scorer"}, {.type = picker}}};
}

SchedulingConfig disaggregated() {
  PluginInstance handler{.type = "disagg-profile-handler"};
  handler.parameters.set("deciders.prefill", std::string{"always-disagg-pd-decider"});
  return {.plugins = {{.type = "prefill-filter"},
                      {.type = "decode-filter"},
                      {.type = "queue-scorer"},
                      {.type = "always-disagg-pd-decider"},
                      {.type = "random-picker"},
                      handler},
          .profiles = {{.name = "prefill", .plugins = {{"prefill-filter"}, {"queue-scorer"}, {"random-picker"}}},
                       {.name = "decode", .plugins = {{"decode-filter"}, {"queue-scorer"}, {"random-picker"}}}}};
}

std::vector<EndpointSpec> random_pool(Rng& rng) {
  std::vector<EndpointSpec> pool(1 + rng.below(12));
  for (std::size_t i = 0; i < pool.size(); ++i) {
    pool[i] = {.name = fmt::format("e{}", i),
               .role = rng.chance(0.3) ? "prefill" : "decode",
               .health = rng.chance(0.2) ? EndpointHealth::kDown : EndpointHealth::kReady,
               .waiting = static_cast<std::uint32_t>(rng.below(3)),
               .inflight = static_cast<std::uint32_t>(rng.below(4))};
  }
  return pool;
}

class Scene {
 public:
  explicit Scene(SchedulingConfig config) : scheduler{*Scheduler::make(std::move(config))} {}

  Decision decide(const EndpointSnapshot& snapshot, Explanation* explanation) {
    const bool with_memory = memory != nullptr;
    return scheduler.decide({.request = request,
                             .snapshot = snapshot,
                             .index = index,
                             .now = kNow,
                             .memory = with_memory ? memory.get() : nullptr},
                            rng, scratch, explanation);
  }

  Scheduler scheduler;
  Budget budget{"prefix", std::size_t{1} << 20};
  PrefixIndex index{{}, budget};
  RequestFacts request{.request_id = "r", .model = "m", .prompt_tokens = 100};
  Rng rng{1};
  DecisionScratch scratch;
  std::unique_ptr<SchedulerMemory> memory;
};

bool same(const Decision& a, const Decision& b) {
  return a.outcome == b.outcome && a.decode == b.decode && a.prefill == b.prefill &&
         a.decode_fallbacks == b.decode_fallbacks;
}

TEST(Explanations, ChangeNeitherTheDecisionNorWhatIsDrawn) {
  const SchedulingConfig configs[]{with_picker("max-score-picker"), with_picker("random-picker"),
                                   with_picker("weighted-random-picker"), disaggregated()};
  for (const SchedulingConfig& config : configs) {
    Scene scene{config};
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      Rng of_pool{seed};
      const EndpointSnapshot snapshot = testing::make_snapshot(random_pool(of_pool));
      scene.rng = Rng{seed};
      const Decision plain = scene.decide(snapshot, nullptr);
      const std::uint64_t next = scene.rng.next();
      for (const bool brief : {false, true}) {
        Explanation explanation{.request_id = {}, .brief = brief};
        scene.rng = Rng{seed};
        ASSERT_TRUE(same(scene.decide(snapshot, &explanation), plain)) << "seed " << seed << ", brief " << brief;
        ASSERT_EQ(scene.rng.next(), next) << "seed " << seed << ", brief " << brief;
        ASSERT_EQ(explanation.brief, brief);
      }
    }
  }
}

TEST(Explanations, TellWhomSimplePoliciesWouldHaveTakenOfTheSameCandidates) {
  Scene scene{with_picker("max-score-picker")};
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "down", .health = EndpointHealth::kDown},
                                                            {.name = "a", .inflight = 3},
                                                            {.name = "b", .inflight = 1},
                                                            {.name = "c", .inflight = 2}});
  std::vector<std::string> in_turn;
  std::set<std::string> by_chance;
  for (int i = 0; i < 60; ++i) {
    scene.request.request_id = std::to_string(i);
    Explanation explanation;
    (void)scene.decide(snapshot, &explanation);
    const std::vector<OtherChoice>& others = explanation.profiles.at(0).others;
    ASSERT_EQ(others.size(), 3U);
    EXPECT_EQ(others[0].policy, "random");
    by_chance.insert(others[0].endpoint->name);
    EXPECT_EQ(others[1].policy, "round-robin");
    in_turn.push_back(others[1].endpoint->name);
    EXPECT_EQ(others[2].policy, "least-loaded");
    EXPECT_EQ(others[2].endpoint->name, "b");
    EXPECT_FALSE(others[2].predicted) << "nobody predicts here";
  }
  EXPECT_EQ(by_chance, (std::set<std::string>{"a", "b", "c"}));
  for (std::size_t i = 3; i < in_turn.size(); ++i) EXPECT_EQ(in_turn[i], in_turn[i - 3]);
  EXPECT_EQ(std::set<std::string>(in_turn.begin(), in_turn.end()).size(), 3U);
}

TEST(Explanations, AnIdlePoolsLeastLoadedIsNotAlwaysTheSame) {
  Scene scene{with_picker("max-score-picker")};
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a"}, {.name = "b"}});
  std::set<std::string> taken;
  for (int i = 0; i < 30; ++i) {
    scene.request.request_id = std::to_string(i);
    Explanation explanation;
    (void)scene.decide(snapshot, &explanation);
    taken.insert(explanation.profiles.at(0).others.at(2).endpoint->name);
  }
  EXPECT_EQ(taken.size(), 2U);
}

TEST(Explanations, NameTheRunnerUpThatThePickerWouldHaveTakenNext) {
  for (const char* picker : {"max-score-picker", "random-picker"}) {
    SchedulingConfig config = with_picker(picker);
    config.explain_endpoints_max = 2;
    Scene scene{config};
    Rng rng{7};
    for (int i = 0; i < 200; ++i) {
      const EndpointSnapshot snapshot = testing::make_snapshot(random_pool(rng));
      Explanation explanation;
      const Decision decision = scene.decide(snapshot, &explanation);
      const ProfileExplanation& profile = explanation.profiles.at(0);
      if (decision.decode == nullptr) continue;
      EXPECT_EQ(profile.chosen, decision.decode->name);
      EXPECT_EQ(profile.runner_up, decision.decode_fallbacks.empty() ? "" : decision.decode_fallbacks[0]->name);
      EXPECT_LE(profile.candidates.size(), 2U);
      EXPECT_TRUE(std::ranges::is_sorted(profile.candidates, std::ranges::greater{}, &CandidateScore::total));
    }
  }
}

TEST(Explanations, InBriefListTheChosenOneAndTheRunnerUpAndCountTheRest) {
  Scene scene{with_picker("max-score-picker")};
  const EndpointSnapshot snapshot =
      testing::make_snapshot({{.name = "down", .health = EndpointHealth::kDown},
                              {.name = "a", .waiting = 9U},
                              {.name = "b", .waiting = 0U, .metric_age = milliseconds{40}},
                              {.name = "c", .waiting = 3U}});
  Explanation explanation{.request_id = {}, .brief = true};
  (void)scene.decide(snapshot, &explanation);
  const ProfileExplanation& profile = explanation.profiles.at(0);
  EXPECT_EQ(explanation.request_id, "r");
  ASSERT_EQ(profile.candidates.size(), 2U);
  EXPECT_EQ(profile.candidates[0].endpoint->name, "b");
  EXPECT_EQ(profile.candidates[1].endpoint->name, "c");
  EXPECT_EQ(profile.runner_up, "c");
  EXPECT_EQ(profile.parts_of(0)[0].metric_age_ms, 40);
  EXPECT_TRUE(profile.filtered.empty() && profile.others.empty());
  EXPECT_EQ(profile.filtered_total, 1U);
  EXPECT_EQ(profile.candidates_total, 3U);
}

TEST(Explanations, OutliveTheSchedulerAndTheSnapshot) {
  Explanation explanation;
  {
    Scene scene{with_picker("max-score-picker")};
    (void)scene.decide(testing::make_snapshot({{.name = "an-endpoint-with-a-long-name"}}), &explanation);
  }
  const Explanation copy = explanation;
  explanation = {};
  EXPECT_EQ(copy.profiles.at(0).chosen, "an-endpoint-with-a-long-name");
  EXPECT_EQ(copy.profiles.at(0).scorers.at(1).name, "active-request-scorer");
}

TEST(Explanations, HaveWhatWasPredictedForEachCandidateOnceItIsKnown) {
  Scene scene{{.plugins = {{.type = "expected-latency-scorer"}}}};
  scene.memory = std::make_unique<SchedulerMemory>(scene.scheduler.make_memory(nullptr));
  const EndpointSnapshot snapshot =
      testing::make_snapshot({{.name = "a", .waiting = 0U}, {.name = "b", .waiting = 0U}});
  Explanation before;
  (void)scene.decide(snapshot, &before);
  EXPECT_FALSE(before.predicted);
  for (int i = 0; i < 200; ++i) {
    const Decision decision = scene.decide(snapshot, nullptr);
    scene.scheduler.sent(scene.request, decision, kNow, *scene.memory);
    const Outcome outcome{.request_id = "r",
                          .endpoint = decision.decode->name,
                          .status = 200,
                          .ttft = milliseconds{50},
                          .total = milliseconds{140},
                          .streamed = milliseconds{90},
                          .completion_tokens = 10};
    (void)scene.scheduler.finished(decision, outcome, kNow, *scene.memory);
  }
  Explanation explanation;
  const Decision decision = scene.decide(snapshot, &explanation);
  ASSERT_TRUE(explanation.predicted);
  EXPECT_FLOAT_EQ(explanation.predicted->ttft_ms, decision.latency.ttft_ms);
  EXPECT_NEAR(explanation.predicted->ttft_ms, 50, 25);
  const ProfileExplanation& profile = explanation.profiles.at(0);
  for (const CandidateScore& candidate : profile.candidates) EXPECT_TRUE(candidate.predicted);
  for (const OtherChoice& other : profile.others) EXPECT_TRUE(other.predicted);
}

}  // namespace
}  // namespace llmd::scheduling
