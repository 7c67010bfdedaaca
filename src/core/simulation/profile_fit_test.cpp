#include "simulation/profile_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace llmd::simulation {
namespace {

HardwareProfile truth() {
  HardwareProfile profile;
  profile.step_s = 0.012;
  profile.prefill_token_s = 0.0013;
  profile.prefill_token_per_kilotoken_s = 0.0004;
  profile.decode_sequence_s = 0.004;
  profile.decode_sequence_per_kilotoken_s = 0.002;
  profile.restore_token_s = 0.00001;
  profile.submit_s = 0.003;
  profile.stream_s = 0;
  return profile;
}

/// What a client measures of an engine with those costs; `noise` is relative.
std::vector<CostSample> measured(const HardwareProfile& profile, double noise) {
  Rng rng{7};
  std::vector<CostSample> samples;
  const auto add = [&](CostSample sample) {
    sample.seconds = predicted_seconds(sample, profile);
    sample.seconds *= 1 + noise * (rng.uniform() - 0.5);
    samples.push_back(sample);
  };
  for (const double tokens : {20.0, 130.0, 400.0, 1'000.0, 2'000.0}) {
    const double steps = std::ceil(tokens / 256);
    add({.steps = steps, .prefill_tokens = tokens, .prefill_kilotokens = tokens * tokens / 2'000, .requests = 1});
    add({.kind = CostSample::Kind::kCachedPrompt,
         .prefill_tokens = 10,
         .prefill_kilotokens = 10 * tokens / 1'000,
         .restored_tokens = tokens,
         .requests = 1});
    for (const double sequences : {1.0, 2.0, 4.0, 8.0}) {
      add({.kind = CostSample::Kind::kDecode,
           .decode_sequences = sequences,
           .decode_kilotokens = sequences * tokens / 1'000});
    }
  }
  return samples;
}

TEST(PredictedSeconds, AreTheSumOfWhatEachCostIsPaidFor) {
  HardwareProfile profile = truth();
  profile.stream_s = 0.001;
  const CostSample sample{.steps = 2,
                          .prefill_tokens = 100,
                          .prefill_kilotokens = 5,
                          .decode_sequences = 3,
                          .decode_kilotokens = 0.5,
                          .restored_tokens = 200,
                          .requests = 1};
  EXPECT_NEAR(predicted_seconds(sample, profile), 0.024 + 0.13 + 0.002 + 0.012 + 0.001 + 0.002 + 0.004, 1e-12);
}

TEST(ProfileFit, FindsTheCostsThatMadeTheTimes) {
  const HardwareProfile real = truth();
  const auto fit = fit_profile(measured(real, 0), {});
  ASSERT_TRUE(fit) << fit.error().to_string();
  EXPECT_NEAR(fit->profile.step_s, real.step_s, 1e-6);
  EXPECT_NEAR(fit->profile.prefill_token_s, real.prefill_token_s, 1e-7);
  EXPECT_NEAR(fit->profile.prefill_token_per_kilotoken_s, real.prefill_token_per_kilotoken_s, 1e-7);
  EXPECT_NEAR(fit->profile.decode_sequence_s, real.decode_sequence_s, 1e-6);
  EXPECT_NEAR(fit->profile.decode_sequence_per_kilotoken_s, real.decode_sequence_per_kilotoken_s, 1e-6);
  EXPECT_NEAR(fit->profile.restore_token_s, real.restore_token_s, 1e-8);
  EXPECT_NEAR(fit->profile.submit_s, real.submit_s, 1e-6);
  for (const double error : fit->error_median) EXPECT_LT(error, 1e-4);
  EXPECT_EQ(fit->left_out, 0U);
}

TEST(ProfileFit, PredictsThroughNoiseAndLeavesOutWhatWasDisturbed) {
  std::vector<CostSample> samples = measured(truth(), 0.06);
  samples[3].seconds *= 4;
  samples[11].seconds *= 9;
  const auto fit = fit_profile(samples, {});
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->left_out, 2U);
  for (const double error : fit->error_median) EXPECT_LT(error, 0.03);
  EXPECT_NEAR(fit->profile.prefill_token_s, truth().prefill_token_s, 0.1 * truth().prefill_token_s);
}

TEST(ProfileFit, KeepsTheMeanOfTimesThatVaryMuch) {
  std::vector<CostSample> samples;
  for (const double seconds : {0.01, 0.01, 0.014, 0.02, 0.01, 0.02})
    samples.push_back({.kind = CostSample::Kind::kDecode, .seconds = seconds});
  const auto fit = fit_profile(samples, {});
  ASSERT_TRUE(fit);
  EXPECT_NEAR(fit->profile.step_s, 0.014, 1e-6);
}

TEST(ProfileFit, GivesNoNegativeCosts) {
  // Times that fall with the context: its cost would be below 0.
  std::vector<CostSample> samples;
  for (int i = 1; i <= 8; ++i) {
    samples.push_back({.kind = CostSample::Kind::kDecode,
                       .seconds = 0.02 - i * 0.001,
                       .decode_sequences = 1,
                       .decode_kilotokens = static_cast<double>(i)});
  }
  const auto fit = fit_profile(samples, {});
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->profile.decode_sequence_per_kilotoken_s, 0);
  EXPECT_GE(fit->profile.step_s, 0);
  EXPECT_GE(fit->profile.decode_sequence_s, 0);
}

TEST(ProfileFit, RefusesTooLittle) {
  EXPECT_FALSE(fit_profile({}, {}));
  std::vector<CostSample> samples = measured(truth(), 0);
  samples[2].seconds = 0;
  EXPECT_FALSE(fit_profile(samples, {}));
}

}  // namespace
}  // namespace llmd::simulation
