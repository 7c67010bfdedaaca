#include "scheduling/scorers/load_forecast_scorer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "forecast/make_forecaster.h"
#include "scheduling/testing/made_plugin.h"
#include "scheduling/testing/pool.h"

namespace llmd::scheduling {
namespace {

using testing::GivenParameters;
using testing::kNow;
using testing::made_scorer;
using testing::PluginScene;
using Scores = std::vector<float>;

/// Endpoints whose load is told, and the scorer's memory of them.
struct ForecastScene : PluginScene {
  explicit ForecastScene(const GivenParameters& parameters = {{"model", "ar"}}, std::size_t endpoints = 3)
      : PluginScene{specs(endpoints)}, scorer{made_scorer("load-forecast-scorer", parameters)} {
    memory = scorer->make_memory();
    live.resize(endpoints);
  }
  static std::vector<testing::EndpointSpec> specs(std::size_t count) {
    std::vector<testing::EndpointSpec> specs;
    for (std::size_t i = 0; i < count; ++i) specs.push_back({.name = fmt::format("e{}", i)});
    return specs;
  }
  Scores at(Duration since_start) {
    const Own own{*this, *scorer};
    PluginInput input = own.input;
    PluginInput moved{.request = input.request,
                      .endpoints = input.endpoints,
                      .matched_blocks = {},
                      .live = live,
                      .serves = input.serves,
                      .now = kNow + since_start,
                      .metric_age_max = input.metric_age_max,
                      .fixed = input.fixed,
                      .memory = input.memory};
    Scores scores(candidates.size());
    scorer->score(moved, candidates, scores);
    return scores;
  }
  void requests(std::vector<std::uint32_t> counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) live[i].requests = counts[i];
  }
  LoadForecasts& forecasts() { return static_cast<LoadForecasts&>(*memory); }

  std::unique_ptr<const Scorer> scorer;
  std::vector<LiveLoad> live;
};

TEST(LoadForecastScorer, PrefersFewRequestsFromTheFirstSampleOn) {
  ForecastScene scene;
  scene.requests({4, 2, 0});
  EXPECT_EQ(scene.at({}), (Scores{0.0F, 0.5F, 1.0F}));
}

TEST(LoadForecastScorer, SeesWhoWillHaveLittle) {
  for (const std::string_view model : forecast::learning_forecaster_names()) {
    SCOPED_TRACE(model);
    ForecastScene scene{{{"model", std::string{model}}}, 2};
    // One holds 30 requests, the other swings between 0 and 40 each second: it has 40 now, and 20 on average.
    for (int second = 0; second <= 601; ++second) {
      scene.requests({30, second % 2 == 0 ? 0U : 40U});
      (void)scene.at(seconds{second});
    }
    EXPECT_EQ(scene.at(milliseconds{601'500}), (Scores{0.0F, 1.0F}));
  }
}

TEST(LoadForecastScorer, CountsWhatWasSentSinceTheSample) {
  ForecastScene scene;
  scene.requests({3, 3, 3});
  for (int second = 0; second < 20; ++second) (void)scene.at(seconds{second});
  EXPECT_EQ(scene.at(milliseconds{19'500}), (Scores{1.0F, 1.0F, 1.0F}));
  scene.requests({5, 3, 1});
  const Scores scores = scene.at(milliseconds{19'500});
  EXPECT_FLOAT_EQ(scores[0], 0.0F);
  EXPECT_NEAR(scores[1], 0.5F, 0.01F);
  EXPECT_FLOAT_EQ(scores[2], 1.0F);
}

TEST(LoadForecastScorer, CountsTokensIfAskedTo) {
  ForecastScene scene{{{"load", "tokens"}, {"model", "ewma"}}};
  scene.requests({0, 1, 9});
  scene.live[0].tokens = 1'000;
  EXPECT_EQ(scene.at({}), (Scores{0.0F, 1.0F, 1.0F}));
}

TEST(LoadForecastScorer, TakesWhatIsInFlightWithoutMemory) {
  ForecastScene scene;
  scene.memory.reset();
  scene.requests({4, 2, 0});
  EXPECT_EQ(scene.at({}), (Scores{0.0F, 0.5F, 1.0F}));
}

TEST(LoadForecastScorer, AnEndpointThatWasNotSampledYetHasNoData) {
  ForecastScene scene{{{"model", "ewma"}}, 2};
  (void)scene.at({});
  scene.snapshot.endpoints.push_back(testing::make_state({.name = "new"}));
  scene.live.push_back({});
  scene.candidates = {0, 2};
  EXPECT_EQ(scene.at(milliseconds{500})[0], 1.0F);
  EXPECT_TRUE(std::isnan(scene.at(milliseconds{500})[1]));
  EXPECT_EQ(scene.at(seconds{1}), (Scores{1.0F, 1.0F}));
}

TEST(LoadForecastScorer, ForgetsWhoIsGoneAndBoundsWhoIsThere) {
  ForecastScene scene{{{"model", "ewma"}}, 2};
  (void)scene.at({});
  scene.snapshot.endpoints.pop_back();
  scene.live.pop_back();
  scene.candidates = {0};
  for (int second = 1; second <= 40; ++second) (void)scene.at(seconds{second});
  EXPECT_EQ(scene.forecasts().endpoints(), 1U);
  ForecastScene crowd{{{"model", "ewma"}}, LoadForecasts::kEndpointsMax + 5};
  (void)crowd.at({});
  EXPECT_EQ(crowd.forecasts().endpoints(), LoadForecasts::kEndpointsMax);
}

// Names that change with every sample: what is kept stays bounded, and places are used again.
TEST(LoadForecastScorer, PlacesOfTheGoneServeTheNew) {
  ForecastScene scene{{{"model", "holt-winters"}}, 3};
  for (int second = 0; second < 2'000; ++second) {
    for (std::size_t i = 0; i < 3; ++i)
      scene.snapshot.endpoints[i] = testing::make_state({.name = fmt::format("{}-{}", second, i)});
    (void)scene.at(seconds{second});
    ASSERT_LE(scene.forecasts().endpoints(), 3U * 32);
  }
}

TEST(LoadForecastScorer, SurvivesPausesOfAnyLength) {
  for (const std::string_view model : forecast::learning_forecaster_names()) {
    SCOPED_TRACE(model);
    ForecastScene scene{{{"model", std::string{model}}}};
    scene.requests({9, 9, 0});
    for (int second = 0; second < 30; ++second) (void)scene.at(seconds{second});
    EXPECT_NEAR(scene.at(seconds{35})[0], 0.0F, 0.05F);
    EXPECT_NEAR(scene.at(std::chrono::hours{24})[2], 1.0F, 0.05F);
    EXPECT_NEAR(scene.at(std::chrono::hours{23})[2], 1.0F, 0.05F);  // a clock that goes back
  }
}

TEST(LoadForecastScorer, BeginsAnewWhenAnotherModelIsConfigured) {
  ForecastScene scene{{{"model", "ewma"}}};
  scene.requests({4, 2, 0});
  (void)scene.at({});
  scene.scorer = made_scorer("load-forecast-scorer", {{"model", "ar"}, {"horizonSeconds", std::int64_t{10}}});
  EXPECT_EQ(scene.at(seconds{1}), (Scores{0.0F, 0.5F, 1.0F}));
}

TEST(LoadForecastScorer, RefusesWhatItCannotDo) {
  const auto refused = [](const char* name, ParameterValue value) {
    return !testing::refusal("load-forecast-scorer", {{name, std::move(value)}}).empty();
  };
  EXPECT_TRUE(refused("horizonSeconds", std::int64_t{0}));
  EXPECT_TRUE(refused("horizonSeconds", std::int64_t{11}));
  EXPECT_TRUE(refused("model", std::string{"oracle"}));
  EXPECT_TRUE(refused("load", std::string{"bytes"}));
  for (const std::string_view model : forecast::learning_forecaster_names())
    EXPECT_FALSE(refused("model", std::string{model})) << model;
}

TEST(LoadForecastScorer, ManyThreadsMayScoreWhileOneSamples) {
  ForecastScene scene{{{"model", "ar"}}, 8};
  for (auto& load : scene.live) load.requests = 3;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        for (const float score : scene.at(milliseconds{100 * i})) wrong += score == 1.0F || std::isnan(score) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(scene.forecasts().endpoints(), 8U);
}

}  // namespace
}  // namespace llmd::scheduling
