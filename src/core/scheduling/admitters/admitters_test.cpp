#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "scheduling/admitters/latency_slo_admitter.h"
#include "scheduling/admitters/probabilistic_admitter.h"
#include "scheduling/scheduler.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;
using testing::refusal;
using namespace std::string_literals;

bool refuses(const Admitter& admitter, const PluginScene& scene) {
  return admitter.refuses(PluginScene::Own{scene, admitter}.input, scene.candidates) != nullptr;
}

/// A busy endpoint that is predicted to need 120 ms, and a request that hopes for 100.
struct SloScene : PluginScene {
  SloScene() : PluginScene{{{.name = "a", .running = 3, .kv_usage = 0.5F}}} {
    request.priority = -1;
    request.slo_ttft_ms = 100;
    predictions = {{.known = true, .ttft_ms = 120}};
  }
};

TEST(LatencySloAdmitter, RefusesWhatNobodyWouldMeet) {
  const SloScene scene;
  const LatencySloAdmitter admitter{{}};
  EXPECT_STREQ(admitter.refuses(scene.input(), scene.candidates),
               "no endpoint is predicted to meet the latency objectives");
}

TEST(LatencySloAdmitter, AdmitsWheneverThereIsHopeOrNothingIsKnown) {
  const LatencySloAdmitter admitter{{}};
  const auto refused = [&](auto&& change) {
    SloScene scene;
    change(scene);
    return refuses(admitter, scene);
  };
  EXPECT_FALSE(refused([](PluginScene& s) { s.request.priority = 0; }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.request.slo_ttft_ms.reset(); }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.predictions.clear(); }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.predictions[0].known = false; }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.predictions[0].ttft_ms = std::nanf(""); }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.predictions[0].ttft_ms = 99; }));
  EXPECT_TRUE(refused([](PluginScene& s) { s.predictions[0].ttft_ms = 100; }));
  EXPECT_FALSE(refused([](PluginScene& s) { s.candidates.clear(); }));
  const auto idle = [](PluginScene& s) -> auto& { return s.snapshot.endpoints[0]; };
  EXPECT_FALSE(refused([&](PluginScene& s) { idle(s).running_requests.value = 0; }));
  EXPECT_FALSE(refused([&](PluginScene& s) { idle(s).running_requests.value.reset(); }));
  EXPECT_FALSE(refused([&](PluginScene& s) { idle(s).kv_usage.value = 0.019F; }));
  EXPECT_TRUE(refused([&](PluginScene& s) { idle(s).kv_usage.value = 0.02F; }));
  EXPECT_FALSE(refused([&](PluginScene& s) { idle(s).kv_usage.at -= seconds{3}; }));
}

TEST(LatencySloAdmitter, AsksAllEndpoints) {
  PluginScene scene{{{.name = "a", .running = 3, .kv_usage = 0.5F}, {.name = "b", .running = 3, .kv_usage = 0.5F}}};
  scene.request.priority = -1;
  scene.request.slo_ttft_ms = 100;
  scene.predictions = {{.known = true, .ttft_ms = 120}, {}};
  EXPECT_TRUE(refuses(LatencySloAdmitter{{}}, scene));
  scene.predictions[1] = {.known = true, .ttft_ms = 10};
  EXPECT_FALSE(refuses(LatencySloAdmitter{{}}, scene));
}

TEST(LatencySloAdmitter, HoldsPrefillEndpointsAgainstTheFirstTokenOnly) {
  PluginScene scene{{{.name = "a", .role = "prefill", .running = 3, .kv_usage = 0.5F}}};
  scene.request.priority = -1;
  scene.request.slo_tpot_ms = 10;
  scene.predictions = {{.known = true, .ttft_ms = 50, .tpot_ms = 20}};
  EXPECT_TRUE(refuses(LatencySloAdmitter{{.streaming = true}}, scene));
  EXPECT_FALSE(refuses(LatencySloAdmitter{{.streaming = true, .role_label = std::string{kRoleLabel}}}, scene));
}

TEST(ProbabilisticAdmitter, RefusesTheMoreLikelyTheFullerThePoolIs) {
  const struct {
    std::string name;
    std::vector<testing::EndpointSpec> pool;
    double expected;
  } cases[] = {
      {"idle", {{.name = "a", .waiting = 0, .kv_usage = 0.0F}}, 0},
      {"a fifth of the queue: 300 * 0.2^5", {{.name = "a", .waiting = 1, .kv_usage = 0.0F}}, 0.096},
      {"half the memory of one of two: 300 * 0.25^5",
       {{.name = "a", .waiting = 0, .kv_usage = 0.4F}, {.name = "b", .waiting = 0, .kv_usage = 0.0F}},
       0.29296875},
      {"full", {{.name = "a", .waiting = 5, .kv_usage = 0.0F}}, 1},
      {"missing", {{.name = "a"}}, 1},
      {"stale", {{.name = "a", .waiting = 0, .kv_usage = 0.0F, .metric_age = seconds{3}}}, 1},
      {"nobody", {}, 0},
  };
  for (const auto& c : cases) {
    PluginScene scene{c.pool};
    const ProbabilisticAdmitter admitter{{}};
    EXPECT_NEAR(admitter.probability(scene.input(), scene.candidates), c.expected, 1e-6) << c.name;
    scene.request.priority = -1;
    scene.chance = std::max(0.0, c.expected - 0.001);
    EXPECT_EQ(refuses(admitter, scene), c.expected > 0) << c.name;
    scene.chance = c.expected + 0.001;
    EXPECT_FALSE(refuses(admitter, scene)) << c.name;
    scene.chance = 0;
    scene.request.priority = 0;
    EXPECT_FALSE(refuses(admitter, scene)) << c.name;
  }
}

TEST(ProbabilisticAdmitter, RefusesWhatLlmdRefuses) {
  const std::string type = "probabilistic-admitter";
  EXPECT_EQ(refusal(type, {}), "");
  EXPECT_EQ(refusal(type, {{"queueDepthThreshold", std::int64_t{0}}}),
            type + ": queueDepthThreshold is 0; expected a whole number from 1 to 1000000000");
  for (const std::string name : {"kvCacheUtilThreshold", "power", "k"}) {
    EXPECT_EQ(refusal(type, {{name, 0.0}}), type + ": " + name + " is 0; expected more");
    EXPECT_EQ(refusal(type, {{name, 2.0}}), "");
  }
}

TEST(Admitters, StopARequestBeforeAnyProfileRuns) {
  SchedulingConfig config{.plugins = {{.type = "queue-scorer"}, {.type = "probabilistic-admitter"}}};
  const Result<Scheduler> scheduler = Scheduler::make(config);
  ASSERT_TRUE(scheduler.has_value());
  const EndpointSnapshot snapshot = testing::make_snapshot({{.name = "a", .waiting = 50, .kv_usage = 0.0F}});
  Budget budget{"prefix", std::size_t{1} << 20U};
  const PrefixIndex index{{}, budget};
  RequestFacts request;
  request.model = "m";
  request.priority = -1;
  Rng rng{1};
  DecisionScratch scratch;
  Explanation explanation;
  const Decision refused = scheduler->decide(
      {.request = request, .snapshot = snapshot, .index = index, .now = testing::kNow}, rng, scratch, &explanation);
  EXPECT_EQ(refused.outcome, Decision::Outcome::kNotAdmitted);
  EXPECT_EQ(explanation.refused_by, "the endpoints are too loaded for a request of negative priority");
  EXPECT_TRUE(explanation.profiles.empty());
}

}  // namespace
}  // namespace llmd::scheduling
