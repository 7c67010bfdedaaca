#include "discovery/kube_state.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmd::discovery {
namespace {

using testing::ElementsAre;
using enum KubeResource;

std::string pod(std::string_view name, std::string_view ip) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "{}", "labels": {{"app": "x"}}}},
      "status": {{"podIP": "{}", "conditions": [{{"type": "Ready", "status": "True"}}]}}}})",
                     name, ip);
}

std::string pool(int port) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "p"}},
      "spec": {{"selector": {{"matchLabels": {{"app": "x"}}}}, "targetPorts": [{{"number": {}}}]}}}})",
                     port);
}

std::string old_pool(int port) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "p"}},
      "spec": {{"selector": {{"app": "x"}}, "targetPortNumber": {}}}}})",
                     port);
}

std::string objective(std::string_view name, int priority, std::string_view to = "p") {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "{}"}},
      "spec": {{"priority": {}, "poolRef": {{"group": "g", "name": "{}"}}}}}})",
                     name, priority, to);
}

std::string rewrite(std::string_view name, std::string_view target) {
  return fmt::format(
      R"({{"metadata": {{"namespace": "ns", "name": "{}"}}, "spec": {{"poolRef": {{"group": "g", "name": "p"}},
      "rules": [{{"targets": [{{"modelRewrite": "{}"}}]}}]}}}})",
      name, target);
}

KubeObject object(std::string_view name, std::string_view json) {
  return {.name_space = "ns", .name = name, .json = json};
}

KubeState state() { return KubeState{{.pool = {.group = "g", .name = "p"}}}; }

std::vector<std::string> urls(KubeState& of) {
  std::vector<std::string> texts;
  for (const Endpoint& endpoint : of.take_changes().put) texts.push_back(endpoint.url);
  return texts;
}

TEST(KubeState, IsSyncedOnceThePoolIsThereAndThePodsAreListed) {
  KubeState kube = state();
  kube.replaced(kPool, {});
  const std::string a = pod("a", "10.0.0.1");
  kube.replaced(kPods, {object("a", a)});
  EXPECT_FALSE(kube.synced());
  kube.upserted(kPool, object("p", pool(8000)));
  EXPECT_TRUE(kube.synced());
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:8000"));
  kube.deleted(kPool, "ns", "p");
  EXPECT_FALSE(kube.synced());
  EXPECT_THAT(kube.take_changes().removed, ElementsAre("ns/a-rank-0"));
}

TEST(KubeState, PodsThatMayNotBeSeenAreNotNone) {
  KubeState kube = state();
  kube.upserted(kPool, object("p", pool(8000)));
  kube.absent(kPods);
  EXPECT_FALSE(kube.synced()) << "nothing is known of them";
  const std::string a = pod("a", "10.0.0.1");
  kube.replaced(kPods, {object("a", a)});
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:8000"));
  kube.absent(kPods);
  EXPECT_TRUE(kube.synced());
  EXPECT_TRUE(kube.take_changes().removed.empty()) << "what is known stays";
}

TEST(KubeState, APoolThatTheFlagsSayNeedsNoObject) {
  InferencePool fixed;
  fixed.ports = {8000, 8001};
  KubeState kube{{.pool = {}, .fixed_pool = fixed}};
  EXPECT_FALSE(kube.synced());
  const std::string a = pod("a", "10.0.0.1");
  kube.replaced(kPods, {object("a", a)});
  EXPECT_TRUE(kube.synced());
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:8000", "http://10.0.0.1:8001"));
}

TEST(KubeState, APoolOfTheOlderGroupCountsWhereThereIsOne) {
  KubeState kube = state();
  kube.upserted(kPods, object("a", pod("a", "10.0.0.1")));
  kube.replaced(kPool, {object("p", pool(8000))});
  kube.absent(kOldPool);
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:8000"));
  kube.replaced(kOldPool, {object("p", old_pool(9000))});
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:9000"));
  kube.replaced(kOldPool, {});
  EXPECT_THAT(urls(kube), ElementsAre("http://10.0.0.1:8000"));
}

TEST(KubeState, ARelistForgetsWhatIsGone) {
  KubeState kube = state();
  kube.replaced(kPool, {object("p", pool(8000))});
  const std::string a = pod("a", "10.0.0.1");
  const std::string b = pod("b", "10.0.0.2");
  kube.replaced(kPods, {object("a", a), object("b", b)});
  EXPECT_EQ(urls(kube).size(), 2U);
  kube.replaced(kPods, {object("b", b)});
  const EndpointChanges changes = kube.take_changes();
  EXPECT_TRUE(changes.put.empty());
  EXPECT_THAT(changes.removed, ElementsAre("ns/a-rank-0"));
}

TEST(KubeState, ObjectivesOfOtherPoolsHaveNoEffect) {
  KubeState kube = state();
  kube.replaced(kObjectives, {object("a", objective("a", 5)), object("b", objective("b", 7, "other"))});
  auto rules = kube.take_rules();
  ASSERT_NE(rules, nullptr);
  EXPECT_EQ(kube.take_rules(), nullptr);
  EXPECT_EQ(rules->objectives.priority("a"), 5);
  EXPECT_EQ(rules->objectives.priority("b"), 0);
  kube.upserted(kObjectives, object("a", objective("a", 5, "other")));
  EXPECT_EQ(kube.take_rules()->objectives.priority("a"), 0);
  EXPECT_EQ(rules->objectives.priority("a"), 5);  // a published snapshot stays
}

TEST(KubeState, TheOlderGroupCountsOnlyWithoutTheNewer) {
  KubeState kube = state();
  kube.replaced(kOldObjectives, {object("a", objective("a", 1))});
  kube.replaced(kOldRewrites, {object("r", rewrite("r", "old"))});
  kube.absent(kObjectives);
  kube.absent(kRewrites);
  Rng chance{1};
  auto rules = kube.take_rules();
  EXPECT_EQ(rules->objectives.priority("a"), 1);
  EXPECT_EQ(rules->rewrites.choose("m", chance)->model, "old");
  EXPECT_FALSE(kube.ignores_old_group());
  kube.replaced(kObjectives, {});
  kube.replaced(kRewrites, {object("r", rewrite("r", "new"))});
  rules = kube.take_rules();
  EXPECT_EQ(rules->objectives.priority("a"), 0);
  EXPECT_EQ(rules->rewrites.choose("m", chance)->model, "new");
  EXPECT_TRUE(kube.ignores_old_group());
  kube.absent(kObjectives);  // its definition was taken away
  EXPECT_EQ(kube.take_rules()->objectives.priority("a"), 1);
}

TEST(KubeState, WhatCannotBeReadCountsAsNotThere) {
  KubeState kube = state();
  kube.replaced(kPool, {object("p", pool(8000))});
  kube.upserted(kPods, object("a", pod("a", "10.0.0.1")));
  EXPECT_EQ(urls(kube).size(), 1U);
  kube.upserted(kPods, object("a", "{"));
  EXPECT_THAT(kube.take_changes().removed, ElementsAre("ns/a-rank-0"));
  EXPECT_EQ(kube.unreadable(), 1U);
  EXPECT_NE(kube.last_fault().find("Pod"), std::string::npos);
  kube.upserted(kPool, object("p", pool(0)));
  EXPECT_FALSE(kube.synced());
}

}  // namespace
}  // namespace llmd::discovery
