#include "discovery/kube_feed.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/testing/run.h"

namespace llmd::discovery {
namespace {

using testing::ElementsAre;
using enum KubeResource;

std::string pod(std::string_view name, int number) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "{}", "labels": {{"app": "x"}}}},
      "status": {{"podIP": "10.0.{}.{}", "conditions": [{{"type": "Ready", "status": "True"}}]}}}})",
                     name, number / 256, number % 256);
}

std::string pool_json(std::string_view label, int port = 8000) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "p"}}, "spec": {{"appProtocol": "http",
      "selector": {{"matchLabels": {{"app": "{}", "b": "c"}}}}, "targetPorts": [{{"number": {}}}]}}}})",
                     label, port);
}

KubeObject object(std::string_view name, std::string_view json) {
  return {.name_space = "ns", .name = name, .json = json};
}

struct Bench {
  explicit Bench(KubePool pool = {.name = "p", .name_space = "ns"})
      : feed{loop, std::move(pool), endpoints, board, metrics} {}

  void until(const std::function<bool()>& condition) { testkit::run_until(loop, condition); }

  Loop loop{"test"};
  MetricsRegistry metrics;
  pool::Pool endpoints{{.publish_interval = milliseconds{0}}};
  RulesBoard board;
  KubeFeed feed;
};

TEST(KubeFeed, ABurstIsFewChanges) {
  Bench bench{{.name = "epp", .name_space = "ns", .selector = "app=x", .ports = {8000}}};
  bench.feed.replaced(kPods, {});
  bench.until([&] { return bench.feed.synced(); });
  int told = 0;
  bench.endpoints.on_change([&] { ++told; });
  for (int i = 0; i < 5'000; ++i) {
    const std::string name = fmt::format("pod-{}", i);
    bench.feed.upserted(kPods, object(name, pod(name, i)));
  }
  bench.until([&] { return bench.endpoints.endpoints().size() == 5'000; });
  EXPECT_EQ(told, 1);
  EXPECT_EQ(bench.metrics.counter("llmd_kube_events_total", "").value(), 5'000);
  EXPECT_EQ(bench.metrics.gauge("llmd_kube_pods", "").value(), 5'000);
}

TEST(KubeFeed, TheFirstEventOfAQuietTimeCountsAtOnce) {
  Bench bench{{.name = "epp", .name_space = "ns", .selector = "app=x", .ports = {8000}}};
  bench.feed.replaced(kPods, {});
  bench.until([&] { return bench.feed.synced(); });
  testkit::run_task(bench.loop, sleep_for(KubeFeed::kTogether));
  const TimePoint began = SteadyClock::now();
  bench.feed.upserted(kPods, object("a", pod("a", 1)));
  bench.until([&] { return bench.endpoints.endpoints().size() == 1; });
  EXPECT_LT(SteadyClock::now() - began, seconds{5});
  EXPECT_EQ(bench.endpoints.endpoints()[0]->name, "ns/a-rank-0");
}

TEST(KubeFeed, AsksForPodsOnceThePoolIsKnownAndWhenItsSelectorChanges) {
  Bench bench;
  std::vector<std::string> selectors;
  bench.feed.on_pods([&](const WatchedResource& pods) { selectors.push_back(pods.label_selector); });
  bench.feed.replaced(kPool, {object("p", pool_json("x"))});
  bench.until([&] { return selectors.size() == 1; });
  EXPECT_FALSE(bench.feed.synced());
  EXPECT_EQ(bench.feed.app_protocol(), "http");
  bench.feed.replaced(kPods, {object("a", pod("a", 1))});
  bench.feed.upserted(kPool, object("p", pool_json("x", 9000)));
  bench.until([&] { return bench.feed.synced(); });
  bench.feed.upserted(kPool, object("p", pool_json("y")));
  bench.until([&] { return selectors.size() == 2; });
  EXPECT_THAT(selectors, ElementsAre("app=x,b=c", "app=y,b=c"));
}

TEST(KubeFeed, PublishesRules) {
  Bench bench;
  CurrentRules current{bench.board};
  EXPECT_EQ(current.get()->objectives.priority("batch"), 0);
  std::size_t told = 0;
  bench.feed.on_rules([&](const RequestRules& rules) { told = rules.objectives.size(); });
  const std::string objective = R"({"metadata": {"name": "batch"}, "spec": {"priority": -3,
      "poolRef": {"group": "inference.networking.k8s.io", "name": "p"}}})";
  bench.feed.replaced(kObjectives, {object("batch", objective)});
  bench.until([&] { return current.get()->objectives.priority("batch") == -3; });
  EXPECT_EQ(told, 1U);
  bench.feed.deleted(kObjectives, "ns", "batch");
  bench.until([&] { return current.get()->objectives.priority("batch") == 0; });
}

TEST(KubePool, WatchesWhatTheFlagsSay) {
  const auto lists = [](const KubePool& pool) {
    std::vector<std::string> texts;
    for (const WatchedResource& each : watched_objects(pool))
      texts.push_back(
          fmt::format("{}/{}/{} {} {}", each.group, each.version, each.plural, each.name_space, each.field_selector));
    return texts;
  };
  EXPECT_THAT(lists({.name = "p", .name_space = "ns"}),
              ElementsAre("inference.networking.k8s.io/v1/inferencepools ns metadata.name=p",
                          "llm-d.ai/v1alpha2/inferenceobjectives ns ",
                          "inference.networking.x-k8s.io/v1alpha2/inferenceobjectives ns ",
                          "llm-d.ai/v1alpha2/inferencemodelrewrites ns ",
                          "inference.networking.x-k8s.io/v1alpha2/inferencemodelrewrites ns "));
  EXPECT_EQ(lists({.name = "p", .group = std::string{kOldGroup}}).size(), 6U);
  EXPECT_TRUE(lists({.name = "p", .selector = "a=b"}).empty());
  EXPECT_EQ(lists({.name = "p", .has_rules = false}).size(), 1U);
  EXPECT_EQ(watched_pods({.name = "p", .selector = "a in (b,c)"}, nullptr).label_selector, "a in (b,c)");
}

TEST(KubePool, IsReadFromNamespaceAndName) {
  const auto pool = KubePool::parse("models/llama.8b");
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->name_space, "models");
  EXPECT_EQ(pool->name, "llama.8b");
  for (const char* text : {"", "pool", "/pool", "ns/", "a/b/c", "ns/Pool", "ns/p?x=y"})
    EXPECT_EQ(KubePool::parse(text).error().code, ErrorCode::kAddressInvalid) << text;
}

TEST(KubePool, ADeploymentIsKnownByItsPodsName) {
  EXPECT_EQ(deployment_of("my-epp-7d4b9c-x2x5p"), "my-epp");
  for (const char* pod : {"", "epp", "epp-1", "-a-b", "epp-A-b", "epp--b", "epp-a-"})
    EXPECT_FALSE(deployment_of(pod)) << pod;
}

}  // namespace
}  // namespace llmd::discovery
