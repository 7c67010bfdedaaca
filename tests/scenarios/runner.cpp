// links: llmd_config llmd_scheduling llmd_prefix llmd_model
// Runs each scenario file as it is, and again under hostile conditions, where the choice may be another but must still
// be made and explained. One ctest entry a file and condition.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/budget.h"
#include "base/hash.h"
#include "base/rng.h"
#include "model/decision.h"
#include "model/prefix_key.h"
#include "prefix/prefix_index.h"
#include "scenario.h"
#include "scheduling/scheduler.h"

namespace llmd::scenarios {
namespace {

constexpr TimePoint kStart{std::chrono::hours{1}};

/// How a scenario is run.
struct Condition {
  std::uint32_t block_tokens = 0;  // 0: as the scenario says
  std::size_t budget_bytes = std::size_t{16} << 20;
  bool all_stale = false;
  const EndpointLine* only = nullptr;  // the pool is this endpoint alone
};

/// A request's decision, with what explains it.
struct Decided {
  Decision decision;
  Explanation explanation;
};

std::string outcome_name(Decision::Outcome outcome) {
  switch (outcome) {
    case Decision::Outcome::kDispatch: return "dispatch";
    case Decision::Outcome::kNoEndpoint: return "no-endpoint";
    case Decision::Outcome::kModelUnknown: return "model-unknown";
    case Decision::Outcome::kNotAdmitted: return "not-admitted";
  }
  return "unknown";
}

std::vector<TokenId> tokens_of(const Prompt& prompt) {
  std::vector<TokenId> tokens;
  for (const auto& [name, count] : prompt) {
    Rng rng{xxh64(name)};  // the same name gives the same tokens
    for (std::uint32_t i = 0; i < count; ++i) tokens.push_back(static_cast<TokenId>(rng.below(32'000)));
  }
  return tokens;
}

/// One run of a scenario: the pool, its index and the scheduler, asked one request after the other.
class PoolRun {
 public:
  PoolRun(const Scenario& scenario, const Condition& condition)
      : scenario_{scenario}, condition_{condition}, budget_{"prefix", condition.budget_bytes}, rng_{scenario.seed} {
    auto scheduler = scheduling::Scheduler::make(scenario.config);
    if (!scheduler) ADD_FAILURE() << scheduler.error().to_string();
    scheduler_ = std::make_unique<scheduling::Scheduler>(std::move(*scheduler));
    snapshot_ = {.version = 7, .taken_at = kStart, .endpoints = {}};
    for (const EndpointLine& line : scenario.pool) {
      if (condition.only == nullptr || condition.only == &line) add(line);
    }
  }

  Decided decide(const RequestLine& line) {
    RequestFacts facts{.request_id = line.id, .model = line.model, .prefix = key_of(line.prompt, line.model)};
    facts.prompt_tokens = static_cast<std::uint32_t>(tokens_of(scenario_.prompts.at(line.prompt)).size());
    Decided decided;
    decided.decision =
        scheduler_->decide({.request = facts, .snapshot = snapshot_, .index = index_, .now = kStart, .live = live_},
                           rng_, scratch_, &decided.explanation);
    if (line.remember) scheduling::remember(decided.decision, facts.prefix, index_, kStart);
    if (line.stays) raise(decided.decision);
    return decided;
  }

  [[nodiscard]] std::size_t endpoints() const { return snapshot_.endpoints.size(); }
  [[nodiscard]] std::string type_of(const std::string& plugin) const {
    for (const auto& each : scheduler_->config().plugins) {
      if (each.name == plugin) return each.type;
    }
    return {};
  }

 private:
  void add(const EndpointLine& line) {
    auto endpoint = std::make_shared<Endpoint>();
    endpoint->name = line.name;
    endpoint->url = fmt::format("http://{}", line.name);
    for (const std::string& model : line.models) endpoint->models.push_back({.id = model});
    if (!line.role.empty()) endpoint->labels.emplace(kRoleLabel, line.role);
    EndpointState state;
    state.endpoint = std::move(endpoint);
    state.health = line.health;
    const TimePoint at = kStart - (condition_.all_stale ? milliseconds{60'000} : milliseconds{line.age_ms});
    state.waiting_requests = {line.waiting, at};
    state.running_requests = {line.running, at};
    state.kv_usage = {line.kv_usage, at};
    snapshot_.endpoints.push_back(std::move(state));
    live_.push_back({.requests = line.inflight});
    for (const std::string& model : line.models) {
      for (const std::string& prompt : line.holds) index_.insert(line.name, key_of(prompt, model));
    }
  }
  [[nodiscard]] PrefixKey key_of(const std::string& prompt, const std::string& model) const {
    const std::uint32_t block_tokens = condition_.block_tokens != 0 ? condition_.block_tokens : scenario_.block_tokens;
    return make_prefix_key(tokens_of(scenario_.prompts.at(prompt)),
                           {.model = model, .block_tokens = block_tokens, .blocks_max = 100'000});
  }
  void raise(const Decision& decision) {
    for (std::size_t i = 0; i < snapshot_.endpoints.size(); ++i) {
      const auto& endpoint = snapshot_.endpoints[i].endpoint;
      if (endpoint == decision.decode || endpoint == decision.prefill) ++live_[i].requests;
    }
  }

  const Scenario& scenario_;
  const Condition condition_;
  Budget budget_;
  PrefixIndex index_{{}, budget_};
  Rng rng_;
  std::unique_ptr<scheduling::Scheduler> scheduler_;
  EndpointSnapshot snapshot_;
  std::vector<scheduling::LiveLoad> live_;
  scheduling::DecisionScratch scratch_;
};

/// The profile that chose the decode endpoint, or the one that found none.
const ProfileExplanation& decode_profile(const Decided& decided) {
  const std::string name = decided.decision.decode == nullptr ? "" : decided.decision.decode->name;
  const auto found = std::find_if(decided.explanation.profiles.begin(), decided.explanation.profiles.end(),
                                  [&](const ProfileExplanation& profile) { return profile.chosen == name; });
  return found == decided.explanation.profiles.end() ? decided.explanation.profiles.front() : *found;
}

void check_filtered(const Decided& decided, const ExpectedFilter& expected) {
  for (const ProfileExplanation& profile : decided.explanation.profiles) {
    if (!expected.profile.empty() && profile.profile != expected.profile) continue;
    for (const FilteredOut& out : profile.filtered) {
      if (out.endpoint->name != expected.endpoint || out.filter != expected.filter) continue;
      if (!expected.reason.empty()) {
        EXPECT_EQ(out.reason, expected.reason);
      }
      return;
    }
  }
  ADD_FAILURE() << expected.endpoint << " was not dropped by " << expected.filter;
}

void check_score(const Decided& decided, const ExpectedScore& expected) {
  for (const ProfileExplanation& profile : decided.explanation.profiles) {
    if (!expected.profile.empty() && profile.profile != expected.profile) continue;
    for (std::size_t c = 0; c < profile.candidates.size(); ++c) {
      if (profile.candidates[c].endpoint->name != expected.endpoint) continue;
      for (std::size_t s = 0; s < profile.scorers.size(); ++s) {
        if (profile.scorers[s].name != expected.scorer) continue;
        const ScorePart& part = profile.parts_of(c)[s];
        if (expected.score) {
          EXPECT_NEAR(part.score, *expected.score, 1e-3) << expected.endpoint << " by " << expected.scorer;
        }
        if (expected.missing) {
          EXPECT_EQ(part.metric_missing, *expected.missing) << expected.endpoint << " by " << expected.scorer;
        }
        return;
      }
    }
  }
  ADD_FAILURE() << "no score of " << expected.endpoint << " by " << expected.scorer;
}

void check_choice(const Decided& decided, const Expectation& expected) {
  const Decision& decision = decided.decision;
  ASSERT_EQ(outcome_name(decision.outcome), expected.outcome);
  if (decision.outcome == Decision::Outcome::kDispatch) {
    EXPECT_NE(std::find(expected.decode.begin(), expected.decode.end(), decision.decode->name), expected.decode.end())
        << "decode is " << decision.decode->name;
  }
  if (expected.prefill) {
    EXPECT_EQ(decision.prefill == nullptr ? "none" : decision.prefill->name, *expected.prefill);
  }
  if (expected.cached_tokens) {
    EXPECT_EQ(decision.cached_tokens_expected, *expected.cached_tokens);
  }
  if (expected.pd_rule) {
    EXPECT_EQ(decided.explanation.pd_rule, *expected.pd_rule);
  }
  if (expected.fallbacks) {
    std::vector<std::string> names;
    for (const auto& endpoint : decision.decode_fallbacks) names.push_back(endpoint->name);
    EXPECT_EQ(names, *expected.fallbacks);
  }
}

void check_expected(const Decided& decided, const Expectation& expected) {
  check_choice(decided, expected);
  for (const ExpectedFilter& each : expected.filtered) check_filtered(decided, each);
  for (const ExpectedScore& each : expected.scores) check_score(decided, each);
  const ProfileExplanation& profile = decode_profile(decided);
  for (const auto& [name, total] : expected.totals) {
    const auto found = std::find_if(profile.candidates.begin(), profile.candidates.end(),
                                    [&](const CandidateScore& c) { return c.endpoint->name == name; });
    ASSERT_NE(found, profile.candidates.end()) << name << " is no candidate";
    EXPECT_NEAR(found->total, total, 1e-3) << name;
  }
}

/// What holds for the explanation of any profile, whatever the condition.
void check_profile(const ProfileExplanation& profile, std::size_t endpoints) {
  EXPECT_EQ(profile.filtered_total + profile.candidates_total, endpoints);
  EXPECT_FALSE(profile.picker.empty());
  std::set<std::string> seen;
  for (const FilteredOut& out : profile.filtered) {
    EXPECT_FALSE(out.filter.empty());
    EXPECT_FALSE(out.reason.empty()) << out.endpoint->name;
    EXPECT_TRUE(seen.insert(out.endpoint->name).second) << out.endpoint->name << " is named twice";
  }
  for (std::size_t c = 0; c < profile.candidates.size(); ++c) {
    const std::string& name = profile.candidates[c].endpoint->name;
    EXPECT_TRUE(seen.insert(name).second) << name << " is named twice";
    double total = 0;
    for (std::size_t s = 0; s < profile.scorers.size(); ++s) {
      const float score = profile.parts_of(c)[s].score;
      EXPECT_TRUE(score >= 0 && score <= 1) << name << " by " << profile.scorers[s].name << ": " << score;
      total += static_cast<double>(score) * static_cast<double>(profile.scorers[s].weight);
    }
    EXPECT_NEAR(profile.candidates[c].total, total, 1e-3) << name;
  }
  EXPECT_EQ(profile.chosen.empty(), profile.candidates_total == 0);
  if (profile.chosen.empty()) return;
  EXPECT_TRUE(std::any_of(profile.candidates.begin(), profile.candidates.end(),
                          [&](const CandidateScore& c) { return c.endpoint->name == profile.chosen; }));
}

void check_explained(const Decided& decided, const RequestLine& line, std::size_t endpoints) {
  EXPECT_EQ(decided.explanation.request_id, line.id);
  EXPECT_EQ(decided.explanation.snapshot_version, 7U);
  ASSERT_FALSE(decided.explanation.profiles.empty());
  for (const ProfileExplanation& profile : decided.explanation.profiles) check_profile(profile, endpoints);
  const Decision& decision = decided.decision;
  EXPECT_EQ(decision.outcome == Decision::Outcome::kDispatch, decision.decode != nullptr);
  EXPECT_LE(decision.cached_tokens_expected, decided.explanation.prompt_tokens);
  if (decision.decode == nullptr) {
    EXPECT_EQ(decision.prefill, nullptr);
    return;
  }
  EXPECT_EQ(decode_profile(decided).chosen, decision.decode->name);
  EXPECT_NE(decision.prefill, decision.decode);
}

void check_all_missing(const Decided& decided, const PoolRun& run) {
  const std::set<std::string> fed_by_metrics{"queue-scorer", "running-requests-size-scorer",
                                             "kv-cache-utilization-scorer"};
  for (const ProfileExplanation& profile : decided.explanation.profiles) {
    for (std::size_t s = 0; s < profile.scorers.size(); ++s) {
      const std::string scorer{profile.scorers[s].name};
      if (!fed_by_metrics.contains(run.type_of(scorer))) continue;
      for (std::size_t c = 0; c < profile.candidates.size(); ++c)
        EXPECT_TRUE(profile.parts_of(c)[s].metric_missing) << profile.candidates[c].endpoint->name << " by " << scorer;
    }
  }
}

std::vector<std::string> scenario_files() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator{std::filesystem::path{LLMD_SOURCE_DIR} / "tests/scenarios"}) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto loaded = load_scenario(std::filesystem::path{LLMD_SOURCE_DIR} / "tests/scenarios" / (GetParam() + ".yaml"));
    ASSERT_TRUE(loaded.has_value()) << loaded.error().to_string();
    scenario = std::move(*loaded);
  }

  /// Decides all requests. The outcomes must be those stated unless the pool is another; `check` sees each decision.
  template <class Check>
  void run_under(const Condition& condition, Check&& check) {
    PoolRun run{scenario, condition};
    for (const RequestLine& line : scenario.requests) {
      SCOPED_TRACE(fmt::format("request {}", line.id));
      const Decided decided = run.decide(line);
      check_explained(decided, line, run.endpoints());
      if (condition.only == nullptr) {
        EXPECT_EQ(outcome_name(decided.decision.outcome), line.expect.outcome);
      }
      check(decided, line, run);
    }
  }

  Scenario scenario;
};

TEST_P(ScenarioTest, DecidesAsStated) {
  run_under({}, [](const Decided& decided, const RequestLine& line, const PoolRun&) {
    check_expected(decided, line.expect);
  });
}

TEST_P(ScenarioTest, DecidesWithBlocksOfOneToken) {
  run_under({.block_tokens = 1}, [](const Decided&, const RequestLine&, const PoolRun&) {});
}

TEST_P(ScenarioTest, DecidesWithoutAByteForThePrefixIndex) {
  run_under({.budget_bytes = 0}, [](const Decided& decided, const RequestLine&, const PoolRun&) {
    EXPECT_EQ(decided.decision.cached_tokens_expected, 0U);
  });
}

TEST_P(ScenarioTest, DecidesWithAllMetricsStale) {
  run_under({.all_stale = true},
            [](const Decided& decided, const RequestLine&, const PoolRun& run) { check_all_missing(decided, run); });
}

TEST_P(ScenarioTest, DecidesOnEachEndpointAlone) {
  for (const EndpointLine& endpoint : scenario.pool) {
    SCOPED_TRACE(fmt::format("only {}", endpoint.name));
    run_under({.only = &endpoint}, [&](const Decided& decided, const RequestLine&, const PoolRun&) {
      if (decided.decision.decode == nullptr) {
        EXPECT_EQ(decided.explanation.profiles.front().filtered.size(), 1U);
      } else {
        EXPECT_EQ(decided.decision.decode->name, endpoint.name);
        EXPECT_TRUE(decided.decision.decode_fallbacks.empty());
      }
    });
  }
}

TEST(LoadScenario, RefusesUnknownKeysAndExpectationsWithoutAReason) {
  const std::string head = "about: x\nconfig: llm-d-default\nprompts: {p: {a: 1}}\n";
  const struct {
    std::string name;
    std::string body;
    std::string what;
  } cases[] = {
      {"top level", "pol: []\n", "case.yaml:4:1: a scenario has no field \"pol\""},
      {"endpoint", "pool: [{name: a, wating: 1}]\n", "case.yaml:4:18: an endpoint has no field \"wating\""},
      {"no reason", "requests: [{prompt: p, expect: {decode: a}}]\n",
       "case.yaml:4:32: an expectation states no reason"},
      {"no prompt", "requests: [{prompt: q, expect: {decode: a, pd_rule: x}}]\n",
       "case.yaml:4:12: prompt names no prompt: \"q\""},
  };
  const std::filesystem::path path = std::filesystem::path{::testing::TempDir()} / "case.yaml";
  for (const auto& c : cases) {
    std::ofstream{path} << head << c.body;
    const auto loaded = load_scenario(path);
    ASSERT_FALSE(loaded.has_value()) << c.name;
    EXPECT_EQ(loaded.error().what, c.what) << c.name;
  }
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioTest, ::testing::ValuesIn(scenario_files()),
                         [](const ::testing::TestParamInfo<std::string>& file) { return file.param; });

}  // namespace
}  // namespace llmd::scenarios
