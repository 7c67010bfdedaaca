#include "scheduling/scheduler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/rng.h"
#include "prefix/prefix_index.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::EndpointSpec;
using testing::kNow;
using testing::make_snapshot;

std::vector<std::uint64_t> test_seeds() {
  if (const char* seed = std::getenv("LLMD_SEED")) return {std::strtoull(seed, nullptr, 10)};
  return {1, 2, 3, 4, 5, 6, 7, 8};
}

std::string name_of(std::size_t i) { return fmt::format("e{}", i); }

Scheduler made(SchedulingConfig config) {
  Result<Scheduler> scheduler = Scheduler::make(std::move(config));
  if (!scheduler) ADD_FAILURE() << scheduler.error().to_string();
  return std::move(*scheduler);
}

SchedulingConfig disagg_config(const std::string& decider, std::int64_t uncached_tokens) {
  PluginInstance handler{.type = "disagg-profile-handler"};
  handler.parameters.set("deciders.prefill", decider);
  PluginInstance threshold{.type = "prefix-based-pd-decider"};
  threshold.parameters.set("nonCachedTokens", uncached_tokens);
  return {
      .plugins = {{.type = "prefill-filter"},
                  {.type = "decode-filter"},
                  {.type = "prefix-cache-scorer"},
                  {.type = "active-request-scorer"},
                  {.type = "always-disagg-pd-decider"},
                  threshold,
                  handler},
      .profiles = {
          {.name = "prefill", .plugins = {{"prefill-filter"}, {"prefix-cache-scorer", 2}, {"active-request-scorer"}}},
          {.name = "decode", .plugins = {{"decode-filter"}, {"prefix-cache-scorer", 3}, {"active-request-scorer"}}}}};
}

/// A scheduler with an index, asked on pools of specs.
class Scene {
 public:
  explicit Scene(SchedulingConfig config) : scheduler{made(std::move(config))} {}

  Decision decide(const std::vector<EndpointSpec>& pool) {
    snapshot = make_snapshot(pool);
    return scheduler.decide({.request = request, .snapshot = snapshot, .index = index, .now = kNow}, rng, scratch,
                            &explanation);
  }

  Scheduler scheduler;
  Budget budget{"prefix", std::size_t{1} << 20};
  PrefixIndex index{{}, budget};
  RequestFacts request{
      .request_id = "r1", .model = "m", .prefix = {.hashes = {1, 2, 3, 4}, .block_tokens = 64}, .prompt_tokens = 256};
  EndpointSnapshot snapshot;
  Rng rng{1};
  DecisionScratch scratch;
  Explanation explanation;
};

TEST(Scheduler, SumsClampedScoresTimesWeights) {
  Scene scene{{}};
  scene.index.insert("b", scene.request.prefix);
  const Decision decision =
      scene.decide({{.name = "a", .waiting = 0, .kv_usage = 0.0F}, {.name = "b", .waiting = 4, .kv_usage = 0.5F}});
  // a: 2 * 1 + 2 * 1 + 3 * 0 = 4. b: 2 * 0 + 2 * 0.5 + 3 * 1 = 4; the order of equals is random.
  ASSERT_EQ(decision.outcome, Decision::Outcome::kDispatch);
  ASSERT_EQ(scene.explanation.profiles.size(), 1U);
  const ProfileExplanation& profile = scene.explanation.profiles.front();
  ASSERT_EQ(profile.candidates.size(), 2U);
  EXPECT_EQ(profile.candidates[0].total, 4.0F);
  EXPECT_EQ(profile.candidates[1].total, 4.0F);
  EXPECT_EQ(profile.chosen, decision.decode->name);
  EXPECT_EQ(profile.candidates[0].endpoint, decision.decode);
  EXPECT_EQ(profile.picker, "max-score-picker");
  ASSERT_EQ(decision.decode_fallbacks.size(), 1U);
}

TEST(Scheduler, ExpectsTheCachedTokensOfTheChosenEndpoint) {
  Scene scene{{}};
  scene.index.insert("b", {.hashes = {1, 2, 3}, .block_tokens = 64});
  const Decision decision = scene.decide({{.name = "a"}, {.name = "b"}});
  EXPECT_EQ(decision.decode->name, "b");
  EXPECT_EQ(decision.cached_tokens_expected, 192U);
}

TEST(Scheduler, ExpectsNoCachedBlockThatEndsWithTheLastTokenOfAWorkersOwnBlocks) {
  Scene scene{{}};
  scene.request.prefix.whole_blocks = true;
  scene.request.prompt_tokens_exact = true;
  scene.index.insert("a", scene.request.prefix);
  const Decision decision = scene.decide({{.name = "a"}});
  EXPECT_EQ(decision.cached_tokens_expected, 192U) << "of 256, as the last token is always computed";
  EXPECT_EQ(scene.explanation.cached_tokens_expected, 192U);
  EXPECT_EQ(scene.explanation.block_tokens, 64U);
  EXPECT_TRUE(scene.explanation.prompt_tokens_exact);
  scene.request.prompt_tokens = 257;
  EXPECT_EQ(scene.decide({{.name = "a"}}).cached_tokens_expected, 256U);
}

TEST(Scheduler, NeitherFavoursNorStarvesAnEndpointWithoutData) {
  Scene scene{{.plugins = {{.type = "queue-scorer"}}}};
  scene.decide({{.name = "low", .waiting = 0},
                {.name = "high", .waiting = 10},
                {.name = "silent"},
                {.name = "stale", .waiting = 0, .metric_age = seconds{9}}});
  std::map<std::string, ScorePart> parts;
  const ProfileExplanation& profile = scene.explanation.profiles.front();
  for (std::size_t c = 0; c < profile.candidates.size(); ++c)
    parts[profile.candidates[c].endpoint->name] = profile.parts_of(c).front();
  EXPECT_EQ(parts["silent"].score, 0.5F);
  EXPECT_TRUE(parts["silent"].metric_missing);
  EXPECT_EQ(parts["silent"].metric_age_ms, -1);
  EXPECT_EQ(parts["stale"].score, 0.5F);
  EXPECT_TRUE(parts["stale"].metric_missing);
  EXPECT_EQ(parts["stale"].metric_age_ms, 9'000);
  EXPECT_FALSE(parts["low"].metric_missing);
  EXPECT_EQ(parts["low"].metric_age_ms, 0);

  std::map<std::string, int> chosen;
  for (int i = 0; i < 400; ++i)
    ++chosen[scene.decide({{.name = "a", .waiting = 3}, {.name = "b", .waiting = 3}, {.name = "silent"}}).decode->name];
  EXPECT_NEAR(chosen["silent"], 133, 40);
}

TEST(Scheduler, DecidesWithNoDataAtAll) {
  Scene scene{{}};
  const Decision decision = scene.decide(
      {{.name = "a", .health = EndpointHealth::kUnknown}, {.name = "b", .health = EndpointHealth::kUnknown}});
  EXPECT_EQ(decision.outcome, Decision::Outcome::kDispatch);
}

TEST(Scheduler, TellsAnUnknownModelFromAnUnavailableOne) {
  Scene scene{{}};
  EXPECT_EQ(scene.decide({}).outcome, Decision::Outcome::kNoEndpoint);
  EXPECT_EQ(scene.decide({{.name = "a", .models = {"other"}}}).outcome, Decision::Outcome::kModelUnknown);
  EXPECT_EQ(scene.decide({{.name = "a", .health = EndpointHealth::kDown}}).outcome, Decision::Outcome::kNoEndpoint);
  const ProfileExplanation& profile = scene.explanation.profiles.front();
  EXPECT_EQ(profile.chosen, "");
  ASSERT_EQ(profile.filtered.size(), 1U);
  EXPECT_EQ(profile.filtered.front().filter, "health-filter");
  EXPECT_EQ(profile.filtered.front().reason, "is down; wanted ready or unknown");
}

TEST(Scheduler, UsesLiveLoadInsteadOfTheSnapshots) {
  Scene scene{{.plugins = {{.type = "active-request-scorer"}}}};
  scene.snapshot = make_snapshot({{.name = "a", .inflight = 0}, {.name = "b", .inflight = 9}});
  const std::vector<LiveLoad> live{{.requests = 5}, {.requests = 0}};
  const Decision decision = scene.scheduler.decide(
      {.request = scene.request, .snapshot = scene.snapshot, .index = scene.index, .now = kNow, .live = live},
      scene.rng, scene.scratch, nullptr);
  EXPECT_EQ(decision.decode->name, "b");
}

TEST(Scheduler, BoundsWhatAnExplanationListsAndStillNamesTheChosen) {
  SchedulingConfig config{.plugins = {{.type = "queue-scorer"}, {.type = "random-picker"}}};
  config.explain_endpoints_max = 3;
  config.fallbacks_max = 2;
  Scene scene{std::move(config)};
  std::vector<EndpointSpec> pool;
  for (std::uint32_t i = 0; i < 40; ++i)
    pool.push_back(
        {.name = name_of(i), .health = i < 20 ? EndpointHealth::kDown : EndpointHealth::kReady, .waiting = i});
  for (int i = 0; i < 20; ++i) {
    const Decision decision = scene.decide(pool);
    const ProfileExplanation& profile = scene.explanation.profiles.front();
    EXPECT_EQ(profile.filtered.size(), 3U);
    EXPECT_EQ(profile.filtered_total, 20U);
    EXPECT_EQ(profile.candidates.size(), 3U);
    EXPECT_EQ(profile.candidates_total, 20U);
    EXPECT_EQ(decision.decode_fallbacks.size(), 2U);
    EXPECT_TRUE(std::any_of(profile.candidates.begin(), profile.candidates.end(),
                            [&](const CandidateScore& c) { return c.endpoint == decision.decode; }));
  }
}

TEST(Scheduler, PrefillsSeparatelyWhenTheDeciderSaysSo) {
  const std::vector<EndpointSpec> pool{{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}};
  Scene scene{disagg_config("prefix-based-pd-decider", 64)};
  EXPECT_TRUE(scene.scheduler.disaggregates());
  const Decision cold = scene.decide(pool);
  EXPECT_EQ(cold.decode->name, "d");
  ASSERT_NE(cold.prefill, nullptr);
  EXPECT_EQ(cold.prefill->name, "p");
  EXPECT_EQ(scene.explanation.pd_rule, "long-uncached-part");
  EXPECT_EQ(scene.explanation.pd_observed, 256U);
  EXPECT_EQ(scene.explanation.pd_limit, 64U);
  EXPECT_EQ(scene.explanation.profiles.size(), 2U);

  remember(cold, scene.request.prefix, scene.index, kNow);
  const Decision warm = scene.decide(pool);
  EXPECT_EQ(warm.prefill, nullptr);
  EXPECT_EQ(scene.explanation.pd_rule, "short-uncached-part");
  EXPECT_EQ(warm.cached_tokens_expected, 256U);
}

TEST(Scheduler, DecodesAloneWithoutAUsablePrefillEndpoint) {
  Scene scene{disagg_config("always-disagg-pd-decider", 0)};
  EXPECT_EQ(
      scene.decide({{.name = "d", .role = "decode"}, {.name = "p", .role = "prefill", .health = EndpointHealth::kDown}})
          .prefill,
      nullptr);
  EXPECT_EQ(scene.explanation.pd_rule, "no-prefill-endpoint");
  EXPECT_EQ(scene.decide({{.name = "both", .role = "both"}}).prefill, nullptr);
  EXPECT_EQ(scene.explanation.pd_rule, "prefill-is-decode");
  EXPECT_EQ(scene.decide({{.name = "p", .role = "prefill"}}).outcome, Decision::Outcome::kNoEndpoint);
}

TEST(Scheduler, PrefillsAlwaysInPrefillFirstOrder) {
  SchedulingConfig config = disagg_config("", 0);
  config.plugins.back().parameters.set("stageOrder", std::string{"prefill-first"});
  Scene scene{std::move(config)};
  EXPECT_EQ(scene.decide({{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}}).prefill->name, "p");
  EXPECT_EQ(scene.explanation.pd_rule, "prefill-first");
}

TEST(Scheduler, NeverPrefillsWithoutADecider) {
  Scene scene{disagg_config("", 0)};
  EXPECT_FALSE(scene.scheduler.disaggregates());
  EXPECT_EQ(scene.decide({{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}}).prefill, nullptr);
  EXPECT_EQ(scene.explanation.pd_rule, "no-decider");
}

TEST(Scheduler, CanServeWhatTheDecodeProfileKeepsAndIsReady) {
  const Scheduler unified = *Scheduler::make({});
  const Scheduler disagg = *Scheduler::make(disagg_config("always-disagg-pd-decider", 0));
  const auto asked = [](const Scheduler& scheduler, const std::vector<EndpointSpec>& pool) {
    return scheduler.can_serve(make_snapshot(pool));
  };
  EXPECT_FALSE(asked(unified, {}));
  EXPECT_TRUE(asked(unified, {{.name = "p", .role = "prefill"}})) << "no filter there drops it";
  EXPECT_FALSE(asked(disagg, {{.name = "p", .role = "prefill"}}));
  EXPECT_TRUE(asked(disagg, {{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode"}}));
  EXPECT_TRUE(asked(disagg, {{.name = "u"}}));
  EXPECT_TRUE(asked(disagg, {{.name = "d", .health = EndpointHealth::kProbing, .inflight = 1}}));
  for (const auto health : {EndpointHealth::kUnknown, EndpointHealth::kDraining, EndpointHealth::kDown}) {
    EXPECT_FALSE(asked(disagg, {{.name = "p", .role = "prefill"}, {.name = "d", .role = "decode", .health = health}}));
  }
}

EndpointSpec random_endpoint(std::size_t i, Rng& rng) {
  constexpr EndpointHealth kHealth[] = {EndpointHealth::kReady,   EndpointHealth::kReady,    EndpointHealth::kUnknown,
                                        EndpointHealth::kProbing, EndpointHealth::kDraining, EndpointHealth::kDown};
  constexpr const char* kRoles[] = {"", "decode", "prefill", "both"};
  EndpointSpec spec{.name = name_of(i), .role = kRoles[rng.below(4)], .health = kHealth[rng.below(6)]};
  if (rng.chance(0.2)) spec.models = {"other"};
  if (rng.chance(0.2)) spec.models = {"other", "m"};
  if (rng.chance(0.8)) spec.waiting = static_cast<std::uint32_t>(rng.below(5));
  if (rng.chance(0.8)) spec.kv_usage = static_cast<float>(rng.uniform() * 1.5);  // engines report more than 1 at times
  spec.inflight = static_cast<std::uint32_t>(rng.below(3));
  spec.metric_age = milliseconds{rng.below(4'000)};
  return spec;
}

/// Oracle for the default profile: names and totals of the candidates, by the rules as the spec states them.
std::map<std::string, double> naive_totals(const std::vector<EndpointSpec>& pool,
                                           const std::set<std::string>& holders) {
  std::vector<const EndpointSpec*> candidates;
  for (const EndpointSpec& spec : pool) {
    const bool healthy = spec.health == EndpointHealth::kReady || spec.health == EndpointHealth::kUnknown ||
                         (spec.health == EndpointHealth::kProbing && spec.inflight == 0);
    if (healthy && spec.models.back() == "m") candidates.push_back(&spec);
  }
  const auto fresh = [](const EndpointSpec& spec) { return spec.metric_age <= seconds{2}; };
  double least = 1e9;
  double most = 0;
  for (const EndpointSpec* spec : candidates) {
    if (!spec->waiting || !fresh(*spec)) continue;
    least = std::min<double>(least, *spec->waiting);
    most = std::max<double>(most, *spec->waiting);
  }
  std::map<std::string, std::vector<std::pair<double, double>>> scores;  // name → (score or -1, weight)
  for (const EndpointSpec* spec : candidates) {
    const double queue = !spec->waiting || !fresh(*spec) ? -1
                         : most == least                 ? 1
                                                         : (most - *spec->waiting) / (most - least);
    const double kv = !spec->kv_usage || !fresh(*spec) ? -1 : std::clamp(1.0 - *spec->kv_usage, 0.0, 1.0);
    scores[spec->name] = {{queue, 2}, {kv, 2}, {holders.contains(spec->name) ? 1 : 0, 3}};
  }
  std::map<std::string, double> totals;
  for (std::size_t s = 0; s < 3; ++s) {
    double sum = 0;
    int known = 0;
    for (const auto& [name, each] : scores) {
      if (each[s].first >= 0) sum += each[s].first, ++known;
    }
    for (const auto& [name, each] : scores)
      totals[name] += each[s].second * (each[s].first >= 0 ? each[s].first : known > 0 ? sum / known : 0.5);
  }
  return totals;
}

TEST(Scheduler, AgreesWithTheNaiveRulesOnRandomPools) {
  for (const std::uint64_t seed : test_seeds()) {
    SCOPED_TRACE(::testing::Message() << "replay: LLMD_SEED=" << seed);
    Rng rng{seed};
    Scene scene{{}};
    for (int step = 0; step < 300; ++step) {
      std::vector<EndpointSpec> pool;
      for (std::size_t i = 0, n = rng.below(12); i < n; ++i) pool.push_back(random_endpoint(i, rng));
      std::set<std::string> holders;
      for (std::size_t i = 0; i < 12; ++i) scene.index.remove(name_of(i));
      for (std::size_t i = 0; i < 12; ++i) {
        if (rng.chance(0.3)) scene.index.insert(*holders.insert(name_of(i)).first, scene.request.prefix);
      }
      if (holders.empty()) scene.index.insert(*holders.insert("e0").first, scene.request.prefix);
      const Decision decision = scene.decide(pool);
      const std::map<std::string, double> expected = naive_totals(pool, holders);
      ASSERT_EQ(decision.outcome == Decision::Outcome::kDispatch, !expected.empty()) << "step " << step;
      ASSERT_EQ(scene.explanation.profiles.front().candidates.size(), expected.size()) << "step " << step;
      double best = -1;
      for (const auto& [name, total] : expected) best = std::max(best, total);
      for (const CandidateScore& candidate : scene.explanation.profiles.front().candidates) {
        ASSERT_NEAR(candidate.total, expected.at(candidate.endpoint->name), 1e-4)
            << "step " << step << ", " << candidate.endpoint->name;
      }
      if (expected.empty()) continue;
      ASSERT_NEAR(expected.at(decision.decode->name), best, 1e-4) << "step " << step;
    }
  }
}

TEST(Scheduler, GivesTheSameDecisionForTheSameSeedWithAndWithoutExplanation) {
  Rng pools{3};
  Scene a{disagg_config("prefix-based-pd-decider", 64)};
  Scene b{disagg_config("prefix-based-pd-decider", 64)};
  for (int step = 0; step < 200; ++step) {
    std::vector<EndpointSpec> pool;
    for (std::size_t i = 0; i < 10; ++i) pool.push_back(random_endpoint(i, pools));
    const Decision x = a.decide(pool);
    b.snapshot = make_snapshot(pool);
    const Decision y = b.scheduler.decide({.request = b.request, .snapshot = b.snapshot, .index = b.index, .now = kNow},
                                          b.rng, b.scratch, nullptr);
    ASSERT_EQ(x.outcome, y.outcome);
    if (x.decode == nullptr) continue;
    ASSERT_EQ(x.decode->name, y.decode->name);
    ASSERT_EQ(x.prefill == nullptr, y.prefill == nullptr);
    remember(x, a.request.prefix, a.index, kNow);
    remember(y, b.request.prefix, b.index, kNow);
  }
}

}  // namespace
}  // namespace llmd::scheduling
