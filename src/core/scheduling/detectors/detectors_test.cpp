#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "scheduling/detectors/concurrency_detector.h"
#include "scheduling/detectors/utilization_detector.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::PluginScene;
using testing::refusal;
using testing::try_make;
using Names = std::vector<std::string>;
using Mode = ConcurrencyDetector::Mode;
using namespace std::string_literals;

float saturation(const SaturationDetector& detector, const PluginScene& scene) {
  return detector.saturation(scene.input(), scene.candidates);
}

TEST(UtilizationDetector, IsTheMeanOfTheFullerOfQueueAndMemory) {
  // 2 / 5 = 0.4 and 0.2 / 0.8 = 0.25; 10 / 5 = 2; 0.8 / 0.8 = 1.
  const PluginScene scene{{{.name = "a", .waiting = 2, .kv_usage = 0.2F},
                           {.name = "b", .waiting = 10, .kv_usage = 0.0F},
                           {.name = "c", .waiting = 0, .kv_usage = 0.8F}}};
  EXPECT_FLOAT_EQ(saturation(UtilizationDetector{{}}, scene), (0.4F + 2 + 1) / 3);
}

TEST(UtilizationDetector, TakesWhatItCannotSeeForFull) {
  EXPECT_EQ(saturation(UtilizationDetector{{}}, PluginScene{{}}), 1.0F);
  const PluginScene missing{{{.name = "a"}, {.name = "b", .waiting = 0, .kv_usage = 0.0F}}};
  EXPECT_EQ(saturation(UtilizationDetector{{}}, missing), 0.5F);
  const PluginScene stale{{{.name = "a", .waiting = 0, .kv_usage = 0.0F, .metric_age = milliseconds{201}},
                           {.name = "b", .waiting = 0, .kv_usage = 0.0F, .metric_age = milliseconds{200}}}};
  EXPECT_EQ(saturation(UtilizationDetector{{}}, stale), 0.5F);
}

TEST(UtilizationDetector, TakesAMetricThatAnEngineNeverTellsForZero) {
  const PluginScene scene{{{.name = "a", .waiting = 1}, {.name = "b", .kv_usage = 0.4F}}};
  EXPECT_FLOAT_EQ(saturation(UtilizationDetector{{}}, scene), (0.2F + 0.5F) / 2);
}

TEST(UtilizationDetector, KeepsEndpointsBelowBothLimits) {
  const PluginScene scene{{{.name = "idle", .waiting = 0, .kv_usage = 0.0F},
                           {.name = "queue", .waiting = 4, .kv_usage = 0.0F},
                           {.name = "memory", .waiting = 0, .kv_usage = 0.5F},
                           {.name = "missing"},
                           {.name = "stale", .waiting = 0, .kv_usage = 0.0F, .metric_age = seconds{1}}}};
  const UtilizationDetector strict{{.waiting_full = 4, .kv_usage_full = 0.5F}};
  EXPECT_EQ(scene.kept(strict), Names{"idle"});
  EXPECT_EQ(scene.reason(strict, 1), "has 4 waiting requests; wanted less than 4");
  EXPECT_EQ(scene.reason(strict, 2), "has 0.5 of its KV memory in use; wanted less than 0.5");
  EXPECT_EQ(scene.reason(strict, 3), "its metrics are missing or too old; wanted fresh ones");
  const UtilizationDetector relaxed{{.waiting_full = 4, .kv_usage_full = 0.5F, .headroom = 0.5F}};
  EXPECT_EQ(scene.kept(relaxed), (Names{"idle", "queue", "memory"}));
}

TEST(UtilizationDetector, KeepsAllRatherThanNone) {
  const PluginScene scene{{{.name = "full", .waiting = 9, .kv_usage = 1.0F}, {.name = "missing"}}};
  EXPECT_EQ(scene.kept(UtilizationDetector{{}}), (Names{"full", "missing"}));
}

TEST(UtilizationDetector, RefusesWhatLlmdRefuses) {
  const std::string type = "utilization-detector";
  EXPECT_EQ(refusal(type, {}), "");
  EXPECT_EQ(refusal(type, {{"queueDepthThreshold", std::int64_t{0}}}),
            type + ": queueDepthThreshold is 0; expected a whole number from 1 to 1000000000");
  EXPECT_EQ(refusal(type, {{"kvCacheUtilThreshold", 0.0}}), type + ": kvCacheUtilThreshold is 0; expected more");
  EXPECT_EQ(refusal(type, {{"kvCacheUtilThreshold", 1.1}}),
            type + ": kvCacheUtilThreshold is 1.1; expected a number from 0 to 1");
  EXPECT_EQ(refusal(type, {{"metricsStalenessThreshold", "0s"s}}),
            type + ": metricsStalenessThreshold is below 1ms; every reading would be too old");
  EXPECT_EQ(refusal(type, {{"headroom", -0.1}}),
            type + ": headroom is -0.1; expected a number from 0 to 1000000000000000");
}

TEST(ConcurrencyDetector, IsTheShareOfTheCapacityOfAll) {
  const PluginScene scene{{{.name = "a", .inflight = 50, .inflight_tokens = 900'000},
                           {.name = "b", .inflight = 100, .inflight_tokens = 100'000}}};
  EXPECT_FLOAT_EQ(saturation(ConcurrencyDetector{{}}, scene), 0.75F);
  EXPECT_FLOAT_EQ(saturation(ConcurrencyDetector{{.mode = Mode::kTokens}}, scene), 0.5F);
  EXPECT_FLOAT_EQ(saturation(ConcurrencyDetector{{.mode = Mode::kHybrid}}, scene), (0.9F + 1.0F) / 2);
  EXPECT_EQ(saturation(ConcurrencyDetector{{}}, PluginScene{{}}), 1.0F);
}

TEST(ConcurrencyDetector, KeepsEndpointsWithRoomEvenIfThatIsNone) {
  const PluginScene scene{{{.name = "a", .inflight = 3, .inflight_tokens = 10},
                           {.name = "b", .inflight = 2, .inflight_tokens = 30},
                           {.name = "c", .inflight = 1, .inflight_tokens = 5}}};
  const ConcurrencyDetector::Options options{.requests_full = 3, .tokens_full = 30};
  const auto with = [&](Mode mode, double headroom) {
    ConcurrencyDetector::Options changed = options;
    changed.mode = mode;
    changed.headroom = headroom;
    return ConcurrencyDetector{changed};
  };
  EXPECT_EQ(scene.kept(with(Mode::kRequests, 0)), (Names{"b", "c"}));
  EXPECT_EQ(scene.kept(with(Mode::kTokens, 0)), (Names{"a", "c"}));
  EXPECT_EQ(scene.kept(with(Mode::kHybrid, 0)), Names{"c"});
  // 3 * 1.3 = 3.9 is rounded down to 3, 30 * 1.3 is 39.
  EXPECT_EQ(scene.kept(with(Mode::kHybrid, 0.3)), (Names{"b", "c"}));
  EXPECT_EQ(scene.kept(ConcurrencyDetector{{.requests_full = 1}}), Names{});
  EXPECT_EQ(scene.reason(with(Mode::kHybrid, 0), 0), "has 3 requests in flight; wanted less than 3");
  EXPECT_EQ(scene.reason(with(Mode::kHybrid, 0), 1), "has 30 tokens in flight; wanted less than 30");
}

TEST(ConcurrencyDetector, RefusesWhatLlmdRefuses) {
  const std::string type = "concurrency-detector";
  EXPECT_EQ(refusal(type, {{"maxConcurrency", std::int64_t{0}}}),
            type + ": maxConcurrency is 0; expected a whole number from 1 to 1000000000000000");
  EXPECT_EQ(refusal(type, {{"maxTokenConcurrency", std::int64_t{0}}}),
            type + ": maxTokenConcurrency is 0; expected a whole number from 1 to 1000000000000000");
  EXPECT_EQ(refusal(type, {{"concurrencyMode", "bytes"s}}),
            type + ": concurrencyMode is \"bytes\"; expected one of requests, tokens, hybrid");
}

TEST(SaturationDetectors, AreFoundBesideTheFilterThatTheyAre) {
  for (const std::string_view type : {"utilization-detector", "concurrency-detector"}) {
    const MadePlugin made = try_make(type, {});
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(static_cast<const Filter*>(made->detector), made->filter.get()) << type;
  }
  EXPECT_EQ(try_make("decode-filter", {})->detector, nullptr);
}

}  // namespace
}  // namespace llmd::scheduling
