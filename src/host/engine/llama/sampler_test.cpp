#include "engine/llama/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace llmd::engine {
namespace {

std::vector<float> random_logits(std::uint64_t seed, std::size_t size) {
  Rng rng{seed};
  std::vector<float> logits(size);
  for (float& logit : logits) logit = static_cast<float>(rng.uniform() * 12 - 6);
  return logits;
}

/// Oracle: the distribution by definition, with full sorts.
std::map<TokenId, double> distribution_by_definition(const std::vector<float>& logits, const SamplingParams& params) {
  std::vector<std::pair<double, TokenId>> kept;
  double best = -1e300;
  for (const float logit : logits) best = std::max(best, static_cast<double>(logit));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - best) / static_cast<double>(params.temperature));
    if (weight >= static_cast<double>(params.min_p)) kept.emplace_back(weight, static_cast<TokenId>(i));
  }
  std::sort(kept.begin(), kept.end(),
            [](auto a, auto b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  if (params.top_k > 0 && kept.size() > static_cast<std::size_t>(params.top_k))
    kept.resize(static_cast<std::size_t>(params.top_k));
  const auto total = [&] {
    return std::accumulate(kept.begin(), kept.end(), 0.0, [](double sum, auto entry) { return sum + entry.first; });
  };
  const auto cut = [&](double share) {
    const double wanted = total() * share;
    double sum = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      sum += kept[i].first;
      if (sum >= wanted) return kept.resize(i + 1);
    }
  };
  if (params.top_p < 1) cut(static_cast<double>(params.top_p));
  std::map<TokenId, double> distribution;
  for (const auto& [weight, token] : kept) distribution[token] = weight / total();
  return distribution;
}

TEST(Sampler, DrawsFromTheDistributionThatItsParametersDefine) {
  const struct {
    const char* name;
    SamplingParams params;
  } kCases[] = {
      {"plain", {}},
      {"hot", {.temperature = 1.7F}},
      {"top_k", {.top_k = 5}},
      {"top_p", {.top_p = 0.6F}},
      {"min_p", {.min_p = 0.1F}},
      {"all", {.temperature = 0.8F, .top_p = 0.9F, .top_k = 12, .min_p = 0.02F}},
  };
  const auto logits = random_logits(3, 60);
  for (const auto& test : kCases) {
    const auto expected = distribution_by_definition(logits, test.params);
    Sampler sampler{{.params = test.params, .seed = 11}, {}};
    SamplerScratch scratch;
    std::map<TokenId, int> counts;
    constexpr int kDraws = 60'000;
    for (int i = 0; i < kDraws; ++i) {
      const auto choice = sampler.next(logits, scratch);
      ASSERT_TRUE(choice && choice->token);
      ASSERT_TRUE(expected.contains(*choice->token)) << test.name << ": token " << *choice->token << " is cut off";
      ++counts[*choice->token];
    }
    for (const auto& [token, probability] : expected) {
      const double deviation = std::sqrt(probability * (1 - probability) / kDraws);
      EXPECT_NEAR(counts[token] / static_cast<double>(kDraws), probability, 5 * deviation + 1e-4)
          << test.name << ", token " << token;
    }
  }
}

TEST(Sampler, IsGreedyAtTemperatureZeroAndTakesTheFirstOfEquals) {
  std::vector<float> logits(1'000, 0.0F);
  logits[400] = logits[300] = 2.0F;
  Sampler sampler{{.params = {.temperature = 0}}, {}};
  SamplerScratch scratch;
  EXPECT_EQ(sampler.next(logits, scratch)->token, 300);
}

TEST(Sampler, SameSeedGivesTheSameTokens) {
  const auto logits = random_logits(9, 5'000);
  Sampler first{{.params = {.top_p = 0.95F}, .seed = 5}, {}};
  Sampler second{{.params = {.top_p = 0.95F}, .seed = 5}, {}};
  SamplerScratch scratch;
  SamplerScratch other_scratch;
  for (int i = 0; i < 100; ++i)
    ASSERT_EQ(first.next(logits, scratch)->token, second.next(logits, other_scratch)->token);
}

TEST(Sampler, ForbidsTheEndBeforeMinTokensAndAlwaysWithIgnoreEos) {
  std::vector<float> logits(10, 0.0F);
  logits[7] = 9.0F;
  logits[3] = 5.0F;
  SamplerScratch scratch;
  Sampler patient{{.params = {.temperature = 0, .min_tokens = 2}, .ends = {7}}, {}};
  EXPECT_EQ(patient.next(logits, scratch)->token, 3);
  EXPECT_EQ(patient.next(logits, scratch)->token, 3);
  EXPECT_EQ(patient.next(logits, scratch)->token, 7);
  Sampler endless{{.params = {.temperature = 0, .ignore_eos = true}, .ends = {7}}, {}};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(endless.next(logits, scratch)->token, 3);
}

TEST(Sampler, AppliesBiasAndPenalties) {
  const std::vector<float> logits{1.0F, 2.0F, 3.0F, 2.9F};
  SamplerScratch scratch;
  const std::vector<TokenId> prompt{2};
  Sampler biased{{.params = {.temperature = 0, .logit_bias = {{0, 100.0F}, {99, 100.0F}}}}, {}};
  EXPECT_EQ(biased.next(logits, scratch)->token, 0);
  Sampler repeats{{.params = {.temperature = 0, .repetition_penalty = 1.2F}}, prompt};
  EXPECT_EQ(repeats.next(logits, scratch)->token, 3);  // 3 / 1.2 = 2.5
  Sampler presence{{.params = {.temperature = 0, .presence_penalty = 0.5F}}, prompt};
  EXPECT_EQ(presence.next(logits, scratch)->token, 2);  // the prompt does not count
  EXPECT_EQ(presence.next(logits, scratch)->token, 3);
  EXPECT_EQ(presence.next(logits, scratch)->token, 2);
}

TEST(Sampler, ReportsLogprobsOfTheModelItself) {
  const auto logits = random_logits(4, 300);
  SamplerScratch scratch;
  Sampler sampler{{.params = {.temperature = 0, .logit_bias = {{5, 100.0F}}, .top_logprobs = 3}}, {}};
  const auto choice = sampler.next(logits, scratch);
  ASSERT_TRUE(choice);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  EXPECT_EQ(choice->token, 5);
  EXPECT_NEAR(*choice->logprob, static_cast<double>(logits[5]) - std::log(sum), 1e-4);
  ASSERT_EQ(choice->top.size(), 3U);
  EXPECT_EQ(choice->top[0].first, *argmax(logits));
  EXPECT_GE(choice->top[0].second, choice->top[1].second);
  EXPECT_GE(choice->top[1].second, choice->top[2].second);
}

TEST(Sampler, RefusesLogitsWithoutANumber) {
  const std::vector<float> logits(50, std::nanf(""));
  SamplerScratch scratch;
  Sampler sampler{{}, {}};
  const auto choice = sampler.next(logits, scratch);
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace llmd::engine
