#include "discovery/pod_endpoints.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace llmd::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

InferencePool pool(std::vector<std::uint16_t> ports = {8000},
                   std::map<std::string, std::string> selector = {{"app", "vllm"}}) {
  return {.selector = std::move(selector), .ports = std::move(ports)};
}

Pod pod(const std::string& name, const std::string& ip = "10.0.0.1", bool ready = true) {
  return {.name_space = "ns", .name = name, .labels = {{"app", "vllm"}}, .active_ports = {}, .ip = ip, .ready = ready};
}

std::vector<std::string> urls(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> texts;
  for (const Endpoint& endpoint : endpoints) texts.push_back(endpoint.name + " " + endpoint.url);
  return texts;
}

TEST(PodEndpoints, NamesOneEndpointAPortAsLlmDDoes) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool({8000, 8001}));
  endpoints.put(pod("a", "fd00::5"));
  const EndpointChanges changes = endpoints.take_changes();
  EXPECT_THAT(urls(changes.put), ElementsAre("ns/a-rank-0 http://[fd00::5]:8000", "ns/a-rank-1 http://[fd00::5]:8001"));
  EXPECT_EQ(changes.put[0].labels.at("app"), "vllm");
  EXPECT_TRUE(endpoints.take_changes().empty());
}

TEST(PodEndpoints, WaitsForThePoolAndForReadiness) {
  PodEndpoints endpoints{{}};
  endpoints.put(pod("a", "10.0.0.1", /*ready=*/false));
  EXPECT_TRUE(endpoints.take_changes().empty());
  endpoints.set_pool(pool());
  EXPECT_TRUE(endpoints.take_changes().empty());
  endpoints.put(pod("a"));
  EXPECT_THAT(urls(endpoints.take_changes().put), ElementsAre("ns/a-rank-0 http://10.0.0.1:8000"));
  endpoints.put(pod("a", "10.0.0.1", /*ready=*/false));
  EXPECT_THAT(endpoints.take_changes().removed, ElementsAre("ns/a-rank-0"));
}

TEST(PodEndpoints, LeaveWithPodPoolAndLabel) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool());
  endpoints.put(pod("a"));
  endpoints.put(pod("b", "10.0.0.2"));
  EXPECT_EQ(endpoints.take_changes().put.size(), 2U);
  Pod other = pod("a");
  other.labels["app"] = "else";
  endpoints.put(other);
  EXPECT_THAT(endpoints.take_changes().removed, ElementsAre("ns/a-rank-0"));
  endpoints.set_pool(pool({8000}, {{"app", "else"}}));
  EndpointChanges swapped = endpoints.take_changes();
  EXPECT_THAT(urls(swapped.put), ElementsAre("ns/a-rank-0 http://10.0.0.1:8000"));
  EXPECT_THAT(swapped.removed, ElementsAre("ns/b-rank-0"));
  endpoints.remove("ns", "a");
  EXPECT_THAT(endpoints.take_changes().removed, ElementsAre("ns/a-rank-0"));
  endpoints.set_pool(pool());
  EXPECT_THAT(urls(endpoints.take_changes().put), ElementsAre("ns/b-rank-0 http://10.0.0.2:8000"));
  InferencePool leaving = pool();
  leaving.leaving = true;
  endpoints.set_pool(leaving);
  EXPECT_THAT(endpoints.take_changes().removed, ElementsAre("ns/b-rank-0"));
  EXPECT_EQ(endpoints.endpoints(), 0U);
}

TEST(PodEndpoints, FewerPortsTakeRanksAway) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool({8000, 8001}));
  endpoints.put(pod("a"));
  (void)endpoints.take_changes();
  endpoints.set_pool(pool({8001}));
  const EndpointChanges changes = endpoints.take_changes();
  EXPECT_THAT(urls(changes.put), ElementsAre("ns/a-rank-0 http://10.0.0.1:8001"));
  EXPECT_THAT(changes.removed, ElementsAre("ns/a-rank-1"));
}

TEST(PodEndpoints, TheAnnotationRestrictsTheRanks) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool({8000, 8001, 8002}));
  Pod some = pod("a");
  some.active_ports = " 8002x, nonsense,8001,9000";
  endpoints.put(some);
  EXPECT_THAT(urls(endpoints.take_changes().put),
              ElementsAre("ns/a-rank-1 http://10.0.0.1:8001", "ns/a-rank-2 http://10.0.0.1:8002"));
  some.active_ports = "";
  endpoints.put(some);
  EXPECT_THAT(endpoints.take_changes().removed, ElementsAre("ns/a-rank-1", "ns/a-rank-2"));
}

TEST(PodEndpoints, RefuseAddressesThatThePolicyRefuses) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool());
  endpoints.put(pod("a", "169.254.169.254"));
  endpoints.put(pod("b", ""));
  EXPECT_TRUE(endpoints.take_changes().empty());
  EXPECT_EQ(endpoints.refused(), 2U);
  EXPECT_NE(endpoints.last_refusal().find("pod ns/"), std::string::npos);
  endpoints.put(pod("a", "10.0.0.1"));
  endpoints.remove("ns", "b");
  EXPECT_EQ(endpoints.take_changes().put.size(), 1U);
  EXPECT_EQ(endpoints.refused(), 0U);
}

TEST(PodEndpoints, ThoseBeyondTheBoundWaitUntilOthersGo) {
  PodEndpoints endpoints{{}};
  endpoints.set_pool(pool({1, 2, 3, 4, 5, 6, 7, 8}));
  constexpr std::size_t kFit = PodEndpoints::kEndpointsMax / 8;
  for (std::size_t i = 0; i < kFit + 2; ++i) endpoints.put(pod(fmt::format("p{}", i)));
  EXPECT_EQ(endpoints.take_changes().put.size(), PodEndpoints::kEndpointsMax);
  EXPECT_EQ(endpoints.left_out(), 2U);
  endpoints.remove("ns", "p0");
  const EndpointChanges changes = endpoints.take_changes();
  EXPECT_EQ(changes.removed.size(), 8U);
  EXPECT_EQ(changes.put.size(), 8U);
  EXPECT_EQ(endpoints.left_out(), 1U);
}

/// Oracle: all endpoints of all pods, made anew.
std::map<std::string, std::string> made_anew(const std::map<std::string, Pod>& pods,
                                             const std::optional<InferencePool>& of) {
  std::map<std::string, std::string> all;
  for (const auto& [name, each] : pods) {
    if (!of || !each.ready || each.labels.at("app") != of->selector.at("app")) continue;
    for (std::size_t i = 0; i < of->ports.size(); ++i)
      all[fmt::format("ns/{}-rank-{}", name, i)] = fmt::format("http://{}:{}", each.ip, of->ports[i]);
  }
  return all;
}

TEST(PodEndpoints, AgreeWithASetMadeAnewAfterAnyEvents) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    SCOPED_TRACE(seed);
    Rng rng{seed};
    PodEndpoints endpoints{{}};
    std::map<std::string, Pod> pods;
    std::optional<InferencePool> of;
    std::map<std::string, std::string> seen;
    const auto any_pod = [&] {
      Pod made = pod(fmt::format("p{}", rng.below(12)), fmt::format("10.0.0.{}", 1 + rng.below(3)), rng.chance(0.7));
      made.labels["app"] = rng.chance(0.7) ? "vllm" : "else";
      return made;
    };
    for (int step = 0; step < 3'000; ++step) {
      if (rng.chance(0.02)) {
        of = rng.chance(0.2) ? std::nullopt : std::optional{pool({8000}, {{"app", rng.chance(0.5) ? "vllm" : "else"}})};
        if (of && rng.chance(0.5)) of->ports.push_back(8001);
        endpoints.set_pool(of);
      } else if (rng.chance(0.02)) {
        pods.clear();
        std::vector<Pod> list;
        for (std::uint64_t i = rng.below(8); i > 0; --i) list.push_back(any_pod());
        for (const Pod& each : list) pods.insert_or_assign(each.name, each);
        endpoints.replace(list);
      } else if (rng.chance(0.3) && !pods.empty()) {
        endpoints.remove("ns", pods.begin()->first);
        pods.erase(pods.begin());
      } else {
        const Pod each = any_pod();
        pods.insert_or_assign(each.name, each);
        endpoints.put(each);
      }
      if (rng.chance(0.5)) continue;
      const EndpointChanges changes = endpoints.take_changes();
      for (const std::string& name : changes.removed) ASSERT_EQ(seen.erase(name), 1U);
      for (const Endpoint& each : changes.put) seen[each.name] = each.url;
      ASSERT_EQ(seen, made_anew(pods, of)) << "step " << step;
      ASSERT_EQ(endpoints.endpoints(), seen.size());
    }
  }
}

}  // namespace
}  // namespace llmd::discovery
