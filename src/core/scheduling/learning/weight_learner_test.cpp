#include "scheduling/learning/weight_learner.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

namespace llmd::scheduling {
namespace {

/// Ten requests a second whose prompts nobody holds; answers are mostly fast if the second weight is above the
/// configured one, and else so often as `otherwise` says.
struct Bench {
  explicit Bench(WeightLearner::Options options = {}) : learner{subject(), options} {}
  static WeightLearner::Subject subject() {
    return {.learner = "weight-learner", .profile = "default", .scorers = {{"queue", 2}, {"prefix", 3}}};
  }

  WeightLearner::Choice send() {
    now += milliseconds{100};
    const RequestFacts request{.request_id = "r", .model = "m", .prompt_tokens = 100};
    const std::vector<EndpointState> endpoints(2);
    const PluginInput input{.request = request,
                            .endpoints = endpoints,
                            .matched_blocks = {},
                            .live = {},
                            .serves = {},
                            .now = now,
                            .metric_age_max = seconds{2}};
    const WeightLearner::Choice choice = learner.choose(input, rng.uniform());
    ++arms[choice.arm];
    const std::uint32_t retries = rng.chance(retried) ? 1 : 0;
    for (std::uint32_t i = 0; i <= retries; ++i) learner.sent(choice.trial, request.prompt_tokens, now);
    ruin += ((choice.arm == WeightLearner::Arm::kControl ? 0 : shared_loss) - ruin) / 100;
    const bool good = !rng.chance(ruin) && rng.uniform() < ((choice.weights[1] > 3) == up ? 0.95 : otherwise);
    learner.finished(choice.trial,
                     {.status = 200,
                      .retries = retries,
                      .ttft = good ? milliseconds{200} : milliseconds{2'100},
                      .total = seconds{4},
                      .streamed = seconds{1},
                      .completion_tokens = 50},
                     now);
    return choice;
  }
  void run(int requests) {
    for (int i = 0; i < requests; ++i) send();
  }

  WeightLearner learner;
  Rng rng{3};
  TimePoint now{};
  bool up = true;
  double otherwise = 0.55;
  double shared_loss = 0;  // share of all requests that other arms than the control's make slow in the end
  double ruin = 0;         // of it, what is felt now
  double retried = 0;      // share of the requests
  std::map<WeightLearner::Arm, int> arms;
};

TEST(WeightLearner, LearnsBesideItsControlGroup) {
  Bench bench;
  bench.run(10'000);
  const auto status = bench.learner.status();
  EXPECT_GT(status.weights[1], 3);
  EXPECT_LE(status.weights[1], 12);
  EXPECT_GT(status.learned_reward, status.control_reward + 0.2);
  EXPECT_EQ(status.requests, 10'000U);
  EXPECT_NEAR(bench.arms[WeightLearner::Arm::kControl], 3'000, 700) << "a fifth, and static blocks";
  EXPECT_EQ(status.pauses, 0U);
  EXPECT_GT(status.difference.mean, 0.05) << "mixed blocks earn more";
}

TEST(WeightLearner, TriesNothingWhereTheConfiguredWeightsEarnLittle) {
  Bench bench;
  bench.otherwise = 0;
  bench.run(5'000);
  EXPECT_EQ(bench.arms[WeightLearner::Arm::kControl], 5'000);
  EXPECT_EQ(bench.learner.status().state, SwitchbackGuard::State::kPoor);
  bench.otherwise = 0.7;
  bench.run(5'000);
  EXPECT_LT(bench.arms[WeightLearner::Arm::kControl], 9'000);
}

/// Arms that ruin the fleet for all alike: within a round there is no difference to see.
TEST(WeightLearner, GivesUpWhatCostsAllArmsAlike) {
  Bench bench;
  bench.up = false;  // no weight is better than the configured ones
  bench.otherwise = 0.95;
  bench.shared_loss = 0.4;
  bench.run(12'000);
  EXPECT_GE(bench.learner.status().pauses, 1U);
  bench.arms.clear();
  bench.run(40'000);
  EXPECT_GT(bench.arms[WeightLearner::Arm::kControl], 34'000);
}

TEST(WeightLearner, LearnsAlsoInTurns) {
  Bench bench{{.by_request = false}};
  bench.run(10'000);
  EXPECT_GT(bench.learner.status().weights[1], 3);
}

TEST(WeightLearner, TurnsRoundWhenTheBestWeightsDo) {
  Bench bench;
  bench.run(10'000);
  bench.up = false;
  bench.run(20'000);
  EXPECT_LE(bench.learner.status().weights[1], 3);
  EXPECT_GT(bench.learner.status().fallbacks, 0U);
}

TEST(WeightLearner, FrozenItServesWhatItLearnedAndTriesNothing) {
  Bench bench;
  bench.run(10'000);
  const auto learned = bench.learner.status().weights;
  bench.learner.freeze(true);
  bench.up = false;
  for (int i = 0; i < 2'000; ++i) {
    const auto choice = bench.send();
    ASSERT_EQ(choice.arm, WeightLearner::Arm::kLearned);
    ASSERT_EQ(choice.weights[1], learned[1]);
  }
  EXPECT_TRUE(bench.learner.status().frozen);
  bench.learner.freeze(false);
  bench.arms.clear();
  bench.run(1'000);
  EXPECT_GT(bench.arms[WeightLearner::Arm::kControl], 0);
}

TEST(WeightLearner, AFreezeOutlivesConfigurations) {
  Bench bench;
  bench.learner.freeze(true);
  bench.learner.configure({.window = seconds{60}});
  EXPECT_TRUE(bench.learner.status().frozen);
  bench.learner.freeze(false);
  bench.learner.configure({.frozen = true});
  EXPECT_FALSE(bench.learner.status().frozen);
}

TEST(WeightLearner, RetriesDoNotHoldARoundUp) {
  Bench bench;
  bench.retried = 0.3;
  bench.run(10'000);
  EXPECT_GT(bench.learner.status().weights[1], 3);
}

TEST(WeightLearner, ResetForgetsAll) {
  Bench bench;
  bench.run(10'000);
  bench.learner.reset();
  const auto status = bench.learner.status();
  EXPECT_EQ(status.weights, (std::vector<float>{2, 3}));
  EXPECT_TRUE(status.contexts.empty());
}

TEST(WeightLearner, IgnoresOutcomesOfRoundsThatItDoesNotKnow) {
  Bench bench;
  for (const std::uint32_t round : {0U, 17U, 4'000'000'000U})
    bench.learner.finished({.made = true, .counts = true, .slice = 4, .round = round}, {.status = 200}, bench.now);
  bench.run(500);
  EXPECT_EQ(bench.learner.status().requests, 500U);
}

TEST(WeightLearner, MayBeUsedFromManyThreads) {
  Bench shared;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&shared, t] {
      const RequestFacts request{.request_id = "r", .model = "m", .prompt_tokens = 100};
      const std::vector<EndpointState> endpoints(2);
      Rng rng{static_cast<std::uint64_t>(t)};
      for (int i = 0; i < 5'000; ++i) {
        const TimePoint now = TimePoint{} + milliseconds{i};
        const PluginInput input{.request = request,
                                .endpoints = endpoints,
                                .matched_blocks = {},
                                .live = {},
                                .serves = {},
                                .now = now,
                                .metric_age_max = seconds{2}};
        const auto choice = shared.learner.choose(input, rng.uniform());
        shared.learner.sent(choice.trial, 100, now);
        shared.learner.finished(choice.trial, {.status = 200, .total = milliseconds{1}}, now);
        if (i == 2'500 && t == 0) shared.learner.reset();
        if (i % 1'000 == 0) (void)shared.learner.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared.learner.status().requests, 20'000U);
}

}  // namespace
}  // namespace llmd::scheduling
