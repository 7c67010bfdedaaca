#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduling/filters/health_filter.h"
#include "scheduling/filters/model_filter.h"
#include "scheduling/filters/outlier_filter.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;

TEST(HealthFilter, KeepsWhatMayServeAndOneTrialAtATime) {
  const PluginScene scene{{{.name = "unknown", .health = EndpointHealth::kUnknown},
                           {.name = "ready", .inflight = 5},
                           {.name = "probing", .health = EndpointHealth::kProbing},
                           {.name = "probing-busy", .health = EndpointHealth::kProbing, .inflight = 1},
                           {.name = "draining", .health = EndpointHealth::kDraining},
                           {.name = "down", .health = EndpointHealth::kDown}}};
  EXPECT_EQ(scene.kept(HealthFilter{}), (std::vector<std::string>{"unknown", "ready", "probing"}));
  EXPECT_EQ(HealthFilter{}.reason(scene.input(), 3), "on trial with 1 requests in flight; wanted 0");
  EXPECT_EQ(HealthFilter{}.reason(scene.input(), 4), "is draining; wanted ready or unknown");
}

TEST(ModelFilter, KeepsTheModelAndEndpointsWhoseModelsAreNotKnownYet) {
  const std::vector<testing::EndpointSpec> pool{
      {.name = "a", .models = {"m"}}, {.name = "b", .models = {"other"}}, {.name = "c", .models = {}}};
  const PluginScene asked{pool, "m"};
  EXPECT_EQ(asked.kept(ModelFilter{}), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(ModelFilter{}.reason(asked.input(), 1), "serves other; wanted m");
  const PluginScene unnamed{pool, ""};
  EXPECT_EQ(unnamed.kept(ModelFilter{}).size(), 3U);
  const PluginScene foreign{pool, "nobody-has-it"};
  EXPECT_EQ(foreign.kept(ModelFilter{}), std::vector<std::string>{"c"});
}

TEST(ModelFilter, KeepsAnEndpointForEveryModelThatItLists) {
  const std::vector<testing::EndpointSpec> pool{{.name = "a", .models = {"base", "one"}},
                                                {.name = "b", .models = {"base", "two", "one", "three", "four"}},
                                                {.name = "c", .models = {"other"}}};
  for (const auto& [model, kept] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"base", {"a", "b"}}, {"one", {"a", "b"}}, {"four", {"b"}}, {"other", {"c"}}, {"ba", {}}}) {
    const PluginScene asked{pool, model};
    EXPECT_EQ(asked.kept(ModelFilter{}), kept) << model;
  }
  const PluginScene asked{pool, "other"};
  EXPECT_EQ(ModelFilter{}.reason(asked.input(), 0), "serves base, one; wanted other");
  EXPECT_EQ(ModelFilter{}.reason(asked.input(), 1), "serves base, two, one and 2 more; wanted other");
}

TEST(OutlierFilter, KeepsPartOfTheTrafficAwayButNeverLeavesNobody) {
  PluginScene scene{{{.name = "fine"}, {.name = "slow"}, {.name = "out", .inflight = 1}}};
  scene.snapshot.endpoints[1].traffic = {.share = 0.5F, .observed = 3, .cause = TrafficShare::Cause::kSlow};
  scene.snapshot.endpoints[2].traffic = {.share = 0, .observed = 9, .cause = TrafficShare::Cause::kSlow};
  std::size_t slow = 0;
  for (int i = 0; i < 1'000; ++i) {
    scene.request.request_id = std::to_string(i);
    const std::vector<std::string> kept = scene.kept(OutlierFilter{});
    ASSERT_EQ(kept.front(), "fine");
    slow += kept.size() - 1;
    ASSERT_NE(kept.back(), "out");
  }
  EXPECT_NEAR(static_cast<double>(slow), 500, 80);
  EXPECT_EQ(OutlierFilter{}.reason(scene.input(), 1), "half ejected: 3.0 times as slow as its peers");
  scene.candidates = {2};
  EXPECT_EQ(scene.kept(OutlierFilter{}), std::vector<std::string>{"out"}) << "nobody else could serve";
}

TEST(EndpointCache, FollowsRequestsAndChangesOfThePool) {
  EndpointSnapshot snapshot =
      testing::make_snapshot({{.name = "a", .models = {"m", "n"}}, {.name = "b", .models = {}}});
  EndpointCache cache;
  const auto serving = [&](std::string_view model) {
    cache.update(snapshot.endpoints, {}, nullptr);
    const auto marks = cache.serving(model);
    return std::vector<int>(marks.begin(), marks.end());
  };
  EXPECT_EQ(serving("m"), (std::vector<int>{1, 1}));
  EXPECT_EQ(serving("x"), (std::vector<int>{0, 1}));
  EXPECT_EQ(serving("y"), (std::vector<int>{0, 1}));
  EXPECT_EQ(serving("n"), (std::vector<int>{1, 1}));
  EXPECT_TRUE(serving("").empty());
  snapshot.endpoints[1] = testing::make_state({.name = "b", .models = {"x"}});
  EXPECT_EQ(serving("n"), (std::vector<int>{1, 0}));
  EXPECT_EQ(serving("x"), (std::vector<int>{0, 1}));
  snapshot.endpoints.push_back(testing::make_state({.name = "c", .models = {"x", "n", "x"}}));
  EXPECT_EQ(serving("x"), (std::vector<int>{0, 1, 1}));
  EXPECT_EQ(serving("n"), (std::vector<int>{1, 0, 1}));
}

}  // namespace
}  // namespace llmd::scheduling
