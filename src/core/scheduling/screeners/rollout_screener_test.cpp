#include "scheduling/screeners/rollout_screener.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/budget.h"
#include "prefix/prefix_index.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::EndpointSpec;
using testing::GivenParameters;
using testing::PluginScene;
using Names = std::vector<std::string>;

constexpr std::string_view kType = "disaggregatedset-rollout-screener";
const std::string kRevision = "disaggregatedset.x-k8s.io/revision";
const std::string kRole = "disaggregatedset.x-k8s.io/role";

EndpointSpec pod(std::string name, std::string revision, std::string role) {
  EndpointSpec spec{.name = std::move(name), .role = role};
  spec.labels = {{kRevision, std::move(revision)}, {kRole, std::move(role)}, {"set", "my-set"}};
  return spec;
}

std::vector<EndpointSpec> pods(const std::string& revision, int prefills, int decodes) {
  std::vector<EndpointSpec> all;
  for (int i = 0; i < prefills; ++i) all.push_back(pod(fmt::format("{}p{}", revision, i), revision, "prefill"));
  for (int i = 0; i < decodes; ++i) all.push_back(pod(fmt::format("{}d{}", revision, i), revision, "decode"));
  return all;
}

std::vector<EndpointSpec> operator+(std::vector<EndpointSpec> a, const std::vector<EndpointSpec>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

ObjectList selectors(std::string_view mode = "strict") {
  ObjectList list(1);
  list[0].set("name", std::string{"revision"});
  list[0].set("headerName", std::string{"X-Disagg-Revision"});
  list[0].set("labelKey", kRevision);
  list[0].set("mode", std::string{mode});
  return list;
}

GivenParameters given(std::string_view mode, ObjectList chosen_by = {}) {
  return {{"scope.labelSelector", std::string{"set=my-set"}},
          {"headerSelectors", std::move(chosen_by)},
          {"revisionGating.mode", std::string{mode}},
          {"revisionGating.requireRoles.values", TextList{"prefill", "decode"}}};
}

std::unique_ptr<const Filter> made(std::string_view mode, ObjectList chosen_by = {}) {
  return std::move(testing::try_make(kType, given(mode, std::move(chosen_by))).value().filter);
}

/// Of 1,000 evenly spread draws, how many went to each revision; "" for none.
std::map<std::string, int> shares(const Filter& screener, PluginScene& scene) {
  std::map<std::string, int> counts;
  for (int i = 0; i < 1'000; ++i) {
    scene.decision_chance = (i + 0.5) / 1'000;
    const Names kept = scene.kept(screener);
    ++counts[kept.empty() ? "" : kept.front().substr(0, 1)];
    for (const std::string& name : kept) EXPECT_EQ(name.front(), kept.front().front()) << "two revisions at once";
  }
  return counts;
}

// The shares that llm-d's page computes for this rollout: 2 + 9 endpoints of A, 1 + 1 of B.
TEST(RolloutScreener, SharesRequestsByTheEndpointsOfARevision) {
  PluginScene scene{pods("A", 2, 9) + pods("B", 1, 1)};
  EXPECT_EQ(shares(*made("max-role"), scene), (std::map<std::string, int>{{"A", 900}, {"B", 100}}));
  EXPECT_EQ(shares(*made("sum"), scene), (std::map<std::string, int>{{"A", 846}, {"B", 154}}));
}

TEST(RolloutScreener, CountsTheFirstOfEquallyFrequentRoles) {
  PluginScene scene{pods("A", 3, 1) + pods("B", 1, 3)};
  EXPECT_EQ(shares(*made("max-role"), scene), (std::map<std::string, int>{{"A", 750}, {"B", 250}}));
}

TEST(RolloutScreener, LeavesOutRevisionsThatLackARole) {
  PluginScene scene{pods("A", 1, 2) + pods("B", 0, 8) + pods("C", 9, 0)};
  EXPECT_EQ(shares(*made("max-role"), scene), (std::map<std::string, int>{{"A", 1'000}}));
  PluginScene nobody{pods("B", 0, 8) + pods("C", 9, 0)};
  EXPECT_TRUE(nobody.kept(*made("sum")).empty()) << "no revision steps in for another";
}

TEST(RolloutScreener, CountsOnlyEndpointsThatMayServeAndAreInScope) {
  std::vector<EndpointSpec> specs = pods("A", 1, 1) + pods("B", 1, 1);
  specs[1].health = EndpointHealth::kDown;  // A's decode
  PluginScene one_down{specs};
  EXPECT_EQ(one_down.kept(*made("sum")), (Names{"Bp0", "Bd0"}));
  specs[1].health = EndpointHealth::kReady;
  specs[2].labels["set"] = "other";  // B's prefill
  PluginScene out_of_scope{specs};
  EXPECT_EQ(out_of_scope.kept(*made("sum")), (Names{"Ap0", "Ad0"}));
}

TEST(RolloutScreener, DrawsOnlyAmongRevisionsThatHaveCandidates) {
  PluginScene scene{pods("A", 1, 1) + pods("B", 1, 1)};
  scene.candidates = {2, 3};  // a subset hint names B's
  scene.decision_chance = 0;
  EXPECT_EQ(scene.kept(*made("sum")), (Names{"Bp0", "Bd0"}));
}

TEST(RolloutScreener, FollowsAStrictHeaderAndNeverAnotherRevision) {
  PluginScene scene{pods("A", 1, 9) + pods("B", 1, 1) + pods("C", 0, 1)};
  const auto screener = made("max-role", selectors());
  scene.request.headers = {{"x-disagg-revision", "B"}};
  EXPECT_EQ(scene.kept(*screener), (Names{"Bp0", "Bd0"}));
  scene.request.headers = {{"x-disagg-revision", "C"}};
  EXPECT_TRUE(scene.kept(*screener).empty()) << "it lacks a role";
  scene.request.headers = {{"x-disagg-revision", "D"}};
  EXPECT_TRUE(scene.kept(*screener).empty());
  const auto only_headers = made("disabled", selectors());
  scene.request.headers = {{"x-disagg-revision", "C"}};
  EXPECT_EQ(scene.kept(*only_headers), (Names{"Cd0"}));
  scene.request.headers = {};
  EXPECT_EQ(scene.kept(*only_headers).size(), 13U);
  const auto preferring = made("disabled", selectors("prefer"));
  scene.request.headers = {{"x-disagg-revision", "C"}};
  EXPECT_EQ(scene.kept(*preferring).size(), 13U);
}

TEST(RolloutScreener, SaysWhyAnEndpointIsOut) {
  std::vector<EndpointSpec> specs = pods("A", 1, 1) + pods("B", 0, 1) + pods("C", 1, 1);
  specs.push_back({.name = "bare"});
  PluginScene scene{specs};
  const auto screener = made("sum", selectors());
  EXPECT_EQ(scene.reason(*screener, 2), "revision B has no prefill that may serve");
  EXPECT_EQ(scene.reason(*screener, 3), "another revision than C was drawn");
  EXPECT_EQ(scene.reason(*screener, 5), kRevision + " is absent");
  scene.request.headers = {{"x-disagg-revision", "A"}};
  EXPECT_EQ(scene.reason(*screener, 3), kRevision + " is C; header x-disagg-revision wants A");
}

TEST(RolloutScreener, RemembersSharesAndStrictHeadersThatMatchNobody) {
  std::vector<EndpointSpec> specs = pods("A", 2, 9) + pods("B", 1, 1) + pods("C", 0, 1);
  PluginScene scene{specs};
  const auto screener = made("max-role", selectors());
  scene.memory = screener->make_memory();
  EXPECT_EQ(scene.kept(*screener).size(), 11U);
  const PluginState state = scene.memory->state();
  EXPECT_EQ(state.items_are, "revisions");
  ASSERT_EQ(state.items.size(), 3U);
  EXPECT_EQ(state.items[0].name, "A");
  EXPECT_DOUBLE_EQ(state.items[0].figures.at(0).value, 0.9);
  EXPECT_DOUBLE_EQ(state.items[1].figures.at(0).value, 0.1);
  EXPECT_DOUBLE_EQ(state.items[2].figures.at(0).value, 0);
  EXPECT_EQ(state.figures.at(0).value, 0);
  scene.request.headers = {{"x-disagg-revision", "D"}};
  for (const char* id : {"one", "one", "two"}) {  // the first has two profiles
    scene.request.request_id = id;
    EXPECT_TRUE(scene.kept(*screener).empty());
  }
  EXPECT_EQ(scene.memory->state().figures.at(0).value, 2);
  scene.snapshot = testing::make_snapshot(pods("B", 1, 1));
  scene.candidates = {0, 1};
  scene.request.headers = {};
  EXPECT_EQ(scene.kept(*screener), (Names{"Bp0", "Bd0"}));
  ASSERT_EQ(scene.memory->state().items.size(), 1U);
  EXPECT_EQ(scene.memory->state().items[0].name, "B");
}

TEST(RolloutScreener, BoundsTheRevisionsItKnows) {
  std::vector<EndpointSpec> specs;
  for (std::size_t i = 0; i <= RolloutScreener::kRevisionsMax; ++i) specs = specs + pods(fmt::format("r{}", i), 1, 1);
  PluginScene scene{specs};
  scene.candidates = {static_cast<EndpointIndex>(specs.size() - 2), static_cast<EndpointIndex>(specs.size() - 1)};
  EXPECT_TRUE(scene.kept(*made("sum")).empty());
  scene.candidates = {0, 1};
  EXPECT_EQ(scene.kept(*made("sum")).size(), 2U);
}

// As llm-d refuses them.
TEST(RolloutScreener, RefusesParametersThatDoNotGoTogether) {
  const auto refused = [](std::string_view changed, ParameterValue value) {
    GivenParameters parameters = given("sum", selectors());
    std::erase_if(parameters, [&](const auto& each) { return each.first == changed; });
    parameters.emplace_back(changed, std::move(value));
    return testing::refusal(kType, parameters);
  };
  const auto with = [](std::string_view field, std::string value) {
    ObjectList list = selectors();
    list[0].set(std::string{field}, std::move(value));
    return list;
  };
  ObjectList twice = selectors();
  twice.push_back(twice[0]);
  ObjectList same_header = twice;
  same_header[1].set("name", std::string{"other"});
  const std::string head = "disaggregatedset-rollout-screener: ";
  EXPECT_EQ(refused("scope.labelSelector", std::string{}), head + "scope.labelSelector is empty");
  EXPECT_EQ(refused("scope.labelSelector", std::string{"not a valid selector!!"}),
            head + "scope.labelSelector: \"a valid selector!!\" is unexpected; expected =, !=, in, notin or ,");
  EXPECT_EQ(refused("headerSelectors", with("name", "")), head + "headerSelectors[0].name is empty");
  EXPECT_EQ(refused("headerSelectors", with("headerName", "")), head + "headerSelectors[0].headerName is empty");
  EXPECT_EQ(refused("headerSelectors", with("labelKey", "")), head + "headerSelectors[0].labelKey is empty");
  EXPECT_EQ(refused("headerSelectors", twice), head + "two headerSelectors are named \"revision\"");
  EXPECT_EQ(refused("headerSelectors", same_header),
            head + "two headerSelectors have headerName \"x-disagg-revision\"");
  EXPECT_EQ(refused("revisionGating.requireRoles.values", TextList{}),
            head + "revisionGating.requireRoles.values has 0 roles; expected 1 to 8");
  EXPECT_EQ(refused("revisionGating.requireRoles.values", TextList{"prefill", "prefill"}),
            head + "revisionGating.requireRoles.values has \"prefill\" twice");
  EXPECT_EQ(refused("revisionGating.requireRoles.values", TextList{"prefill", ""}),
            head + "revisionGating.requireRoles.values has an empty role");
  EXPECT_FALSE(refused("revisionGating.mode", std::string{"bogus"}).empty());
}

SchedulingConfig disaggregated() {
  SchedulingConfig config;
  Parameters handler;
  handler.set("deciders.prefill", std::string{"always"});
  config.plugins = {
      {.name = "screener", .type = std::string{kType}, .parameters = testing::parameters_of(given("sum", selectors()))},
      {.name = "prefill-filter", .type = "prefill-filter"},
      {.name = "decode-filter", .type = "decode-filter"},
      {.name = "picker", .type = "random-picker"},
      {.name = "always", .type = "always-disagg-pd-decider"},
      {.name = "handler", .type = "disagg-profile-handler", .parameters = std::move(handler)}};
  config.profiles = {{.name = "prefill", .plugins = {{"prefill-filter"}, {"picker"}}},
                     {.name = "decode", .plugins = {{"decode-filter"}, {"picker"}}}};
  return config;
}

// Without the screener, half of these would pair two revisions.
TEST(RolloutScreener, KeepsBothLegsOfARequestOnOneRevision) {
  const Scheduler scheduler = Scheduler::make(disaggregated()).value();
  EXPECT_EQ(scheduler.headers_read(), (std::vector<std::string>{"x-disagg-revision"}));
  const EndpointSnapshot snapshot = testing::make_snapshot(pods("A", 3, 3) + pods("B", 3, 3) + pods("C", 0, 9));
  EXPECT_TRUE(scheduler.can_serve(snapshot));
  Budget budget{"prefix", std::size_t{1} << 20};
  const PrefixIndex index{{}, budget};
  RequestFacts request;
  request.model = "m";
  Rng rng{7};
  DecisionScratch scratch;
  std::map<char, int> revisions;
  for (int i = 0; i < 400; ++i) {
    const Decision decision = scheduler.decide(
        {.request = request, .snapshot = snapshot, .index = index, .now = testing::kNow}, rng, scratch, nullptr);
    ASSERT_EQ(decision.outcome, Decision::Outcome::kDispatch);
    ASSERT_NE(decision.prefill, nullptr);
    EXPECT_EQ(decision.prefill->name.front(), decision.decode->name.front());
    ++revisions[decision.decode->name.front()];
    const std::vector<Header> stamped = scheduler.answer_headers(request, decision, *decision.decode);
    ASSERT_EQ(stamped.size(), 1U);
    EXPECT_EQ(stamped[0].first, "x-disagg-revision");
    EXPECT_EQ(stamped[0].second, decision.decode->name.substr(0, 1));
  }
  EXPECT_EQ(revisions.size(), 2U);
  EXPECT_NEAR(revisions['A'], 200, 50);
  request.headers = {{"x-disagg-revision", "C"}};
  Explanation explanation;
  const Decision none = scheduler.decide(
      {.request = request, .snapshot = snapshot, .index = index, .now = testing::kNow}, rng, scratch, &explanation);
  EXPECT_EQ(none.outcome, Decision::Outcome::kNoEndpoint);
  ASSERT_FALSE(explanation.profiles.empty());
  EXPECT_EQ(explanation.profiles[0].filtered_total, 21U);
}

}  // namespace
}  // namespace llmd::scheduling
