#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using ::testing::ElementsAre;
using testing::EndpointSpec;
using ::testing::FloatEq;
using ::testing::FloatNear;
using testing::GivenParameters;
using ::testing::IsNan;
using testing::made_scorer;
using testing::PluginScene;
using testing::refusal;

/// One endpoint for each value of the signal.
struct SignalScene : PluginScene {
  SignalScene(Signal signal, const std::vector<float>& values) : PluginScene{specs_of(values.size())} {
    for (std::size_t i = 0; i < values.size(); ++i) set_signal(static_cast<EndpointIndex>(i), signal, values[i]);
  }
  static std::vector<EndpointSpec> specs_of(std::size_t endpoints) {
    std::vector<EndpointSpec> specs(endpoints);
    for (std::size_t i = 0; i < endpoints; ++i) specs[i].name = fmt::format("{}", i);
    return specs;
  }
};

struct Case {
  std::string_view type;
  Signal signal;
  GivenParameters parameters;
  std::vector<float> values;
  std::vector<float> scores;
};

TEST(SignalScorers, FollowTheirFormulas) {
  const Case cases[] = {
      {"cpu-scorer", Signal::kCpuUse, {}, {0.0F, 0.25F, 1.0F}, {1.0F, 0.75F, 0.0F}},
      {"gpu-scorer", Signal::kGpuUse, {}, {0.5F, 0.875F}, {0.5F, 0.125F}},
      {"memory-scorer", Signal::kMemoryUse, {}, {0.0F, 0.75F}, {1.0F, 0.25F}},
      {"cache-hit-scorer", Signal::kCacheHitRatio, {}, {0.0F, 0.5F, 1.0F}, {0.0F, 0.5F, 1.0F}},
      // 10 / (10 + 30).
      {"network-latency-scorer", Signal::kLatencyMs, {}, {0.0F, 10.0F, 30.0F}, {1.0F, 0.5F, 0.25F}},
      {"network-latency-scorer", Signal::kLatencyMs, {{"halfScoreMs", 90.0}}, {30.0F}, {0.75F}},
      // 3,000 / (1,000 + 3,000).
      {"network-bandwidth-scorer", Signal::kBandwidthMbps, {}, {0.0F, 1'000.0F, 3'000.0F}, {0.0F, 0.5F, 0.75F}},
      {"network-bandwidth-scorer", Signal::kBandwidthMbps, {{"halfScoreMegabytesPerSecond", 100.0}}, {300.0F}, {0.75F}},
      // 0.01 / (0.01 + 0.03).
      {"network-loss-scorer", Signal::kPacketLoss, {}, {0.0F, 0.01F, 0.03F}, {1.0F, 0.5F, 0.25F}},
      {"network-loss-scorer", Signal::kPacketLoss, {{"halfScoreLoss", 0.5}}, {0.5F}, {0.5F}},
      // 0.5^4.
      {"error-rate-scorer", Signal::kErrorRate, {}, {0.0F, 0.5F, 1.0F, 1.5F}, {1.0F, 0.0625F, 0.0F, 0.0F}},
      {"error-rate-scorer", Signal::kErrorRate, {{"steepness", 1.0}}, {0.25F}, {0.75F}},
  };
  for (const Case& c : cases) {
    const std::vector<float> scores = SignalScene(c.signal, c.values).scores(*made_scorer(c.type, c.parameters));
    ASSERT_EQ(scores.size(), c.scores.size());
    for (std::size_t i = 0; i < scores.size(); ++i)
      EXPECT_NEAR(scores[i], c.scores[i], 1e-6) << c.type << " of " << c.values[i];
  }
}

TEST(SignalScorers, HaveNoDataForWhatIsMissingStaleOrNoNumber) {
  constexpr std::pair<std::string_view, Signal> kTypes[] = {{"cpu-scorer", Signal::kCpuUse},
                                                            {"gpu-scorer", Signal::kGpuUse},
                                                            {"memory-scorer", Signal::kMemoryUse},
                                                            {"cache-hit-scorer", Signal::kCacheHitRatio},
                                                            {"network-latency-scorer", Signal::kLatencyMs},
                                                            {"network-bandwidth-scorer", Signal::kBandwidthMbps},
                                                            {"network-loss-scorer", Signal::kPacketLoss},
                                                            {"error-rate-scorer", Signal::kErrorRate},
                                                            {"queue-tokens-scorer", Signal::kQueuedTokens},
                                                            {"decode-work-scorer", Signal::kDecodeTokensLeft},
                                                            {"cost-scorer", Signal::kCostPerMillionTokens},
                                                            {"energy-scorer", Signal::kJoulesPerToken}};
  for (const auto& [type, signal] : kTypes) {
    const auto scorer = made_scorer(type);
    EXPECT_TRUE(scorer->consumes().has(Metric::kSignal)) << type;
    EXPECT_EQ(scorer->signal(), signal) << type;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    SignalScene scene(signal, {0.0F, std::nanf(""), kInfinity, -0.5F, 0.25F});
    scene.set_signal(0, signal, 0.25F, seconds{3});
    EXPECT_THAT(scene.scores(*scorer), ElementsAre(IsNan(), IsNan(), IsNan(), IsNan(), ::testing::Not(IsNan())))
        << type;
    const PluginScene untold{{{.name = "a"}, {.name = "b"}}};
    EXPECT_THAT(untold.scores(*scorer), ElementsAre(IsNan(), IsNan())) << type;
    EXPECT_TRUE(PluginScene{{}}.scores(*scorer).empty()) << type;
  }
}

TEST(SignalScorers, RefuseScalesThatMakeNoScore) {
  const struct {
    std::string_view type;
    std::string name;
    double value;
    std::string_view what;
  } cases[] = {
      {"network-latency-scorer", "halfScoreMs", 0,
       "network-latency-scorer: halfScoreMs is 0; expected a number from 0.001 to 60000"},
      {"network-bandwidth-scorer", "halfScoreMegabytesPerSecond", -1,
       "network-bandwidth-scorer: halfScoreMegabytesPerSecond is -1; expected a number from 0.001 to 1000000"},
      {"network-loss-scorer", "halfScoreLoss", 2,
       "network-loss-scorer: halfScoreLoss is 2; expected a number from 1e-06 to 1"},
      {"error-rate-scorer", "steepness", 0, "error-rate-scorer: steepness is 0; expected a number from 0.1 to 100"},
      {"cold-start-scorer", "floor", 1.5, "cold-start-scorer: floor is 1.5; expected a number from 0 to 1"},
      {"cold-start-scorer", "warmupSeconds", -1,
       "cold-start-scorer: warmupSeconds is -1; expected a number from 0 to 86400"},
      {"kv-capacity-scorer", "roomFactor", 0,
       "kv-capacity-scorer: roomFactor is 0; expected a number from 0.01 to 1000"},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal(c.type, {{c.name, c.value}}), c.what);
}

TEST(ColdStartScorer, RampsFromTheFloorToOne) {
  const auto scorer = made_scorer("cold-start-scorer");
  // 0.1 + 0.9 * 30 / 60.
  EXPECT_THAT(SignalScene(Signal::kReadySeconds, {0, 30, 60, 900}).scores(*scorer),
              ElementsAre(FloatEq(0.1F), FloatEq(0.55F), FloatEq(1.0F), FloatEq(1.0F)));
  const auto flat = made_scorer("cold-start-scorer", {{"warmupSeconds", 0.0}});
  EXPECT_THAT(SignalScene(Signal::kReadySeconds, {0}).scores(*flat), ElementsAre(1.0F));
}

TEST(ColdStartScorer, AddsTheAgeOfTheReadingHoweverOldItIs) {
  PluginScene scene{{{.name = "old"}, {.name = "ahead"}, {.name = "untold"}, {.name = "wrong"}}};
  scene.set_signal(0, Signal::kReadySeconds, 10, seconds{20});
  scene.set_signal(1, Signal::kReadySeconds, 30, seconds{-5});  // another loop has read it meanwhile
  scene.set_signal(3, Signal::kReadySeconds, -1);
  EXPECT_THAT(scene.scores(*made_scorer("cold-start-scorer", {{"floor", 0.0}})),
              ElementsAre(FloatEq(0.5F), FloatEq(0.5F), IsNan(), IsNan()));
}

}  // namespace
}  // namespace llmd::scheduling
