#include "config/routes_file.h"

#include <gtest/gtest.h>

namespace llmd::config {
namespace {

TEST(RoutesFile, FiveLinesPutTheGatewayInFrontOfTwoEngines) {
  const auto file = parse_routes_file(
      "pools:\n"
      "- name: main\n"
      "  endpoints:\n"
      "  - http://10.0.0.1:8000\n"
      "  - http://10.0.0.2:8000\n",
      "routes.yaml");
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->pools.size(), 1U);
  EXPECT_EQ(file->pools[0].name, "main");
  ASSERT_EQ(file->pools[0].endpoints.size(), 2U);
  EXPECT_EQ(file->pools[0].endpoints[1].url, "http://10.0.0.2:8000");
  EXPECT_EQ(file->pools[0].endpoints[1].line, 5);
  const modelroute::Found found = file->table.find({.model = "any", .version = "", .sla_class = ""});
  ASSERT_NE(found.route, nullptr);
  EXPECT_EQ(found.route->targets.size(), 1U);
}

TEST(RoutesFile, ReadsEveryField) {
  const auto file = parse_routes_file(R"(
slaClasses:
- {name: gold, priority: 10, ttftMs: 500, tpotMs: 40}
- name: free
defaultSlaClass: free
routes:
- name: canary
  match: {model: qwen, version: v2, slaClass: gold, headers: {X-Team: red}}
  sticky: session
  targets:
  - {pool: new, weight: 10, model: qwen-2}
  - {pool: old, weight: 90}
- match: {model: "llama*"}
  sticky: user
  targets: [{pool: old}]
pools:
- name: old
  endpoints: old.yaml
  config: /etc/epc.yaml
- name: new
  engine: sglang
  endpoints:
  - https://new:8443
  - {name: b, url: "http://b:1", engine: vllm, labels: {zone: x}}
  tls: {caFile: ca.pem, serverName: engines.local, insecureSkipVerify: true}
)",
                                      "conf/routes.yaml");
  ASSERT_TRUE(file) << file.error().to_string();
  const PoolEntry& old_pool = file->pools.at(0);
  EXPECT_EQ(old_pool.endpoint_file, "conf/old.yaml") << "relative to the file";
  EXPECT_EQ(old_pool.config_file, "/etc/epc.yaml");
  const PoolEntry& new_pool = file->pools.at(1);
  EXPECT_EQ(new_pool.tls,
            (PoolTls{.ca_file = "conf/ca.pem", .server_name = "engines.local", .insecure_skip_verify = true}));
  EXPECT_EQ(new_pool.endpoints.at(0).engine, "sglang");
  EXPECT_EQ(new_pool.endpoints.at(1).engine, "vllm");
  EXPECT_EQ(new_pool.endpoints.at(1).labels.at("zone"), "x");
  EXPECT_EQ(file->default_sla_class, "free");
  const modelroute::SlaClass* gold = file->table.sla_class("gold");
  ASSERT_NE(gold, nullptr);
  EXPECT_EQ(gold->priority, 10);
  EXPECT_EQ(gold->slo_ttft_ms, 500.0F);
  const modelroute::Route& canary = file->table.routes().at(0);
  EXPECT_EQ(canary.match.headers, (std::vector<modelroute::Match::Header>{{"x-team", "red"}}));
  EXPECT_EQ(canary.sticky, modelroute::Sticky::kSession);
  EXPECT_EQ(canary.targets, (std::vector<modelroute::Target>{{.pool = 1, .model = "qwen-2", .weight = 10},
                                                             {.pool = 0, .model = {}, .weight = 90}}));
  EXPECT_EQ(file->table.routes().at(1).name, "route-1");
}

TEST(RoutesFile, SaysWhereAndWhatIsWrong) {
  const struct {
    const char* name;
    const char* text;
    const char* error;
  } kCases[] = {
      {"empty", "", "r.yaml:1:1: there are no pools"},
      {"unknown field", "pool: []", "r.yaml:1:1: "},
      {"no name", "pools:\n- endpoints: [http://a:1]\n", "r.yaml:2:3: a pool has no name"},
      {"bad name", "pools:\n- name: a b\n  endpoints: [http://a:1]\n", "r.yaml:2:9: name is \"a b\""},
      {"no endpoints", "pools:\n- name: a\n", "r.yaml:2:3: pool \"a\" has no endpoints"},
      {"twice", "pools:\n- {name: a, endpoints: [x]}\n- {name: a, endpoints: [y]}\n",
       "r.yaml:3:3: there are two pools"},
      {"no routes", "pools:\n- {name: a, endpoints: [x]}\n- {name: b, endpoints: [y]}\n",
       "r.yaml:1:1: there are 2 pools"},
      {"unknown pool", "pools: [{name: a, endpoints: [x]}]\nroutes:\n- targets:\n  - pool: b\n",
       "r.yaml:4:11: there is no pool \"b\""},
      {"unknown class",
       "pools: [{name: a, endpoints: [x]}]\nroutes:\n- match: {slaClass: gold}\n  targets: [{pool: a}]\n",
       "r.yaml:3:21: there is no class \"gold\""},
      {"star inside",
       "pools: [{name: a, endpoints: [x]}]\nroutes:\n- match: {model: \"a*b\"}\n  targets: [{pool: a}]\n",
       "r.yaml:3:18: '*' stands elsewhere"},
      {"weight", "pools: [{name: a, endpoints: [x]}]\nroutes:\n- targets: [{pool: a, weight: 1000001}]\n",
       "r.yaml:3:31: weight is 1000001; expected 0 to 1000000"},
      {"mixed weights", "pools: [{name: a, endpoints: [x]}]\nroutes:\n- targets: [{pool: a, weight: 1}, {pool: a}]\n",
       "r.yaml:3:3: route \"route-0\": some targets have a weight"},
      {"no targets", "pools: [{name: a, endpoints: [x]}]\nroutes:\n- name: r\n",
       "r.yaml:3:3: route \"r\": there are no"},
      {"sticky", "pools: [{name: a, endpoints: [x]}]\nroutes:\n- sticky: yes\n  targets: [{pool: a}]\n",
       "r.yaml:3:11: sticky is \"yes\"; expected session or user"},
      {"slo", "pools: [{name: a, endpoints: [x]}]\nslaClasses: [{name: g, ttftMs: -1}]\n", "r.yaml:2:32: ttftMs is -1"},
      {"default class", "pools: [{name: a, endpoints: [x]}]\ndefaultSlaClass: g\n", "r.yaml:2:18: there is no class"},
      {"engine of a file", "pools:\n- {name: a, endpoints: e.yaml, engine: vllm}\n", "r.yaml:2:3: engine is for"},
  };
  for (const auto& each : kCases) {
    const auto file = parse_routes_file(each.text, "r.yaml");
    ASSERT_FALSE(file) << each.name;
    EXPECT_EQ(file.error().code, ErrorCode::kConfigInvalid) << each.name;
    EXPECT_TRUE(file.error().what.starts_with(each.error)) << each.name << ": " << file.error().what;
  }
}

}  // namespace
}  // namespace llmd::config
