#include "discovery/kube_objects.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmd::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(KubeObjects, ReadsAPoolOfV1) {
  const auto pool = read_pool(R"({"apiVersion": "inference.networking.k8s.io/v1", "metadata": {"name": "p"},
      "spec": {"selector": {"matchLabels": {"app": "vllm", "tier": "1"}}, "appProtocol": "http",
               "targetPorts": [{"number": 8000}, {"number": 8001}], "endpointPickerRef": {"name": "epp"}}})");
  ASSERT_TRUE(pool) << pool.error().to_string();
  EXPECT_THAT(pool->selector, ElementsAre(Pair("app", "vllm"), Pair("tier", "1")));
  EXPECT_THAT(pool->ports, ElementsAre(8000, 8001));
  EXPECT_EQ(pool->app_protocol, "http");
  EXPECT_FALSE(pool->leaving);
}

TEST(KubeObjects, ReadsAPoolOfTheOlderGroup) {
  const auto pool = read_pool(R"({"metadata": {"name": "p", "deletionTimestamp": "2026-12-01T00:00:00Z"},
      "spec": {"selector": {"app": "vllm"}, "targetPortNumber": 9000, "extensionRef": {"name": "epp"}}})");
  ASSERT_TRUE(pool) << pool.error().to_string();
  EXPECT_THAT(pool->selector, ElementsAre(Pair("app", "vllm")));
  EXPECT_THAT(pool->ports, ElementsAre(9000));
  EXPECT_TRUE(pool->leaving);
}

std::string pod_json(std::string_view metadata, std::string_view status) {
  return fmt::format(R"({{"metadata": {{"namespace": "ns", "name": "a"{}}}, "status": {}}})", metadata, status);
}

TEST(KubeObjects, ReadsWhetherAPodIsReady) {
  const auto ready = [](const char* metadata, const char* status) {
    const auto pod = read_pod(pod_json(metadata, status));
    return pod && pod->ready;
  };
  EXPECT_TRUE(
      ready("", R"({"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]})"));
  EXPECT_FALSE(ready("", R"({"conditions": [{"type": "Ready", "status": "False"}]})"));
  EXPECT_FALSE(
      ready("", R"({"conditions": [{"type": "Ready", "status": "Unknown"}, {"type": "Ready", "status": "True"}]})"));
  EXPECT_FALSE(ready("", R"({"conditions": null})"));
  EXPECT_FALSE(ready("", "{}"));
  EXPECT_FALSE(ready(R"(, "deletionTimestamp": "2026-12-01T00:00:00Z")",
                     R"({"conditions": [{"type": "Ready", "status": "True"}]})"));
}

TEST(KubeObjects, ReadsWhereAPodIs) {
  const auto pod = read_pod(pod_json(
      R"(, "labels": {"app": "vllm"}, "annotations": {"inference.networking.k8s.io/active-ports": "1",
          "llm-d.ai/active-ports": "8000,8001"})",
      R"({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]})"));
  ASSERT_TRUE(pod) << pod.error().to_string();
  EXPECT_EQ(pod->name_space, "ns");
  EXPECT_EQ(pod->name, "a");
  EXPECT_EQ(pod->ip, "10.0.0.1");
  EXPECT_THAT(pod->labels, ElementsAre(Pair("app", "vllm")));
  EXPECT_EQ(pod->active_ports, "8000,8001");
  const auto older = read_pod(pod_json(R"(, "annotations": {"inference.networking.k8s.io/active-ports": "1"})", "{}"));
  ASSERT_TRUE(older);
  EXPECT_EQ(older->active_ports, "1");
  EXPECT_EQ(read_pod(pod_json("", "{}"))->active_ports, std::nullopt);
}

TEST(KubeObjects, ReadsAnObjective) {
  const auto objective = read_objective(R"({"metadata": {"name": "batch"},
      "spec": {"priority": -5, "poolRef": {"group": "g", "kind": "InferencePool", "name": "p"}}})");
  ASSERT_TRUE(objective) << objective.error().to_string();
  EXPECT_EQ(objective->name, "batch");
  EXPECT_EQ(objective->priority, -5);
  EXPECT_EQ(objective->pool, (PoolRef{.group = "g", .name = "p"}));
  EXPECT_EQ(read_objective(R"({"spec": {"priority": null}})")->priority, 0);
}

TEST(KubeObjects, ReadsAModelRewrite) {
  const auto rewrite = read_rewrite(R"({"metadata": {"name": "r", "creationTimestamp": "2026-12-01T00:00:00Z"},
      "spec": {"poolRef": {"group": "g", "name": "p"}, "rules": [
        {"matches": [{"model": {"type": "Exact", "value": "a"}}, {"model": {"value": "b"}}],
         "targets": [{"modelRewrite": "c", "weight": 9}, {"modelRewrite": "d"}]},
        {"targets": [{"modelRewrite": "e"}]}]}})");
  ASSERT_TRUE(rewrite) << rewrite.error().to_string();
  EXPECT_EQ(rewrite->created, "2026-12-01T00:00:00Z");
  ASSERT_EQ(rewrite->rules.size(), 2U);
  EXPECT_THAT(rewrite->rules[0].models, ElementsAre("a", "b"));
  EXPECT_EQ(rewrite->rules[0].targets[0].weight, 9U);
  EXPECT_EQ(rewrite->rules[0].targets[1].weight, std::nullopt);
  EXPECT_THAT(rewrite->rules[1].models, IsEmpty());
}

TEST(KubeObjects, AnErrorNamesObjectAndField) {
  const auto what = [](const auto& read) { return read ? std::string{"read"} : read.error().what; };
  EXPECT_EQ(
      what(read_pool(R"({"metadata": {"namespace": "ns", "name": "p"}, "spec": {"targetPorts": [{"number": 0}]}})")),
      "InferencePool ns/p: a target port is not an integer from 1 to 65535");
  EXPECT_THAT(what(read_pool(R"({"spec": {"targetPorts": []}})")), HasSubstr("names no port"));
  EXPECT_THAT(what(read_pool(R"({"spec": {"targetPorts": [{}]}})")), HasSubstr("entry without number"));
  EXPECT_THAT(what(read_pool(R"({"spec": {"selector": {"matchLabels": {"a": 1}}, "targetPorts": [{"number": 1}]}})")),
              HasSubstr("has a value that is no text"));
  EXPECT_THAT(what(read_pod(R"({"metadata": {"name": "a", "labels": []}})")),
              HasSubstr("/metadata/labels is not a map"));
  EXPECT_THAT(what(read_pod(R"({"metadata": {}})")), HasSubstr("/metadata/name is missing"));
  EXPECT_THAT(what(read_objective(R"({"spec": {"priority": 2147483648}})")),
              HasSubstr("/spec/priority is not an integer"));
  EXPECT_THAT(what(read_objective(R"({"spec": {"priority": 1.5}})")), HasSubstr("/spec/priority is not an integer"));
  EXPECT_THAT(what(read_rewrite(R"({"spec": {"rules": [{"targets": [{"weight": 1}]}]}})")),
              HasSubstr("without modelRewrite"));
  EXPECT_THAT(what(read_rewrite(R"({"spec": {"rules": [{"matches": [{}]}]}})")), HasSubstr("match without a model"));
}

TEST(KubeObjects, WhatIsNoObjectIsRefused) {
  for (const std::string& json : {std::string{}, std::string{"{"}, std::string{"[]"}, std::string{"null"},
                                  std::string{"\xff"}, std::string(kObjectBytesMax + 1, ' '), std::string(100'000, '['),
                                  "{\"metadata\":" + std::string(100, '[') + std::string(100, ']') + "}"}) {
    EXPECT_FALSE(read_pool(json));
    EXPECT_FALSE(read_pod(json));
    EXPECT_FALSE(read_objective(json));
    EXPECT_FALSE(read_rewrite(json));
  }
}

TEST(KubeObjects, BoundsWhatOneObjectMayHold) {
  std::string ports;
  for (int i = 1; i <= 9; ++i) ports += fmt::format(R"({}{{"number": {}}})", i > 1 ? "," : "", i);
  EXPECT_FALSE(read_pool(R"({"spec": {"targetPorts": [)" + ports + "]}}"));
  std::string labels;
  for (std::size_t i = 0; i <= kLabelsMax; ++i) labels += fmt::format(R"({}"l{}": "")", i > 0 ? "," : "", i);
  EXPECT_FALSE(read_pod(pod_json(", \"labels\": {" + labels + "}", "{}")));
}

TEST(KubeObjects, ALargeObjectIsReadToo) {
  const std::string filler(1'000'000, 'x');
  const auto pod = read_pod(pod_json(R"(, "managedFields": ")" + filler + "\"", R"({"podIP": "10.0.0.1"})"));
  ASSERT_TRUE(pod) << pod.error().to_string();
  EXPECT_EQ(pod->ip, "10.0.0.1");
  EXPECT_EQ(read_pod(pod_json("", R"({"podIP": "10.0.0.2"})"))->ip, "10.0.0.2");
}

}  // namespace
}  // namespace llmd::discovery
