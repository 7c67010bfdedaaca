#include "routing/plugin_states.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace llmd::routing {
namespace {

using scheduling::NamedPluginState;
using scheduling::PluginInstance;

constexpr std::chrono::sys_seconds kAt{std::chrono::seconds{1'735'787'045}};

TEST(PluginStatesJson, HasTheFormOfLlmdsPage) {
  const std::vector<PluginInstance> plugins{{.name = "z \"quoted\"", .type = "queue-scorer"},
                                            {.type = "no-hit-lru-scorer"},
                                            {.name = "media", .type = "mm-embeddings-cache-producer"},
                                            {.name = "learner", .type = "weight-learner"}};
  const std::vector<NamedPluginState> states{
      {.name = "no-hit-lru-scorer", .type = "no-hit-lru-scorer", .state = {.figures = {{"totalEndpoints", 3}}}},
      {.type = "mm-embeddings-cache-producer",
       .state = {.items = {{"b", {{"items", 2}}}, {"a", {{"items", 2}}}, {"c", {{"items", 5}}}}}},
      {.name = "learner",
       .type = "weight-learner",
       .state = {.figures = {{"learnedReward", 0.25}}, .items_are = "scorers", .items = {{"q", {{"weight", 1.5}}}}}},
      {.type = "predicted-latency-producer", .state = {.figures = {{"observations", 12}}}}};
  EXPECT_EQ(
      plugin_states_json(plugins, states, kAt),
      R"({"timestamp":"2025-01-02T03:04:05Z","plugins":{)"
      R"("learner":{"type":"weight-learner","state":{"learnedReward":0.25,"scorers":[{"name":"q","weight":1.5}],)"
      R"("totalScorers":1,"maxScorers":100,"truncated":false}},)"
      R"("media":{"type":"mm-embeddings-cache-producer","state":{"endpoints":[{"name":"c","items":5},)"
      R"({"name":"a","items":2},{"name":"b","items":2}],"totalEndpoints":3,"maxEndpoints":100,"truncated":false}},)"
      R"("no-hit-lru-scorer":{"type":"no-hit-lru-scorer","state":{"totalEndpoints":3}},)"
      R"("predicted-latency-producer":{"type":"predicted-latency-producer","state":{"observations":12}},)"
      R"("z \"quoted\"":{"type":"queue-scorer","message":"this plugin remembers nothing"}}})");
}

TEST(PluginStatesJson, IsBoundedAndSaysWhatItLeftOut) {
  NamedPluginState state{.name = "p", .type = "t"};
  for (int i = 0; i < 10'000; ++i)
    state.state.items.push_back({fmt::format("endpoint-{}", i), {{"blocks", static_cast<double>(i)}}});
  const std::string json = plugin_states_json({}, std::span{&state, 1}, kAt);
  EXPECT_LT(json.size(), 10'000U);
  EXPECT_NE(json.find(R"({"name":"endpoint-9999","blocks":9999})"), std::string::npos);
  EXPECT_NE(json.find(R"({"name":"endpoint-9900","blocks":9900}],"totalEndpoints":10000)"), std::string::npos);
  EXPECT_NE(json.find(R"("truncated":true)"), std::string::npos);
}

}  // namespace
}  // namespace llmd::routing
