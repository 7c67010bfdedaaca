#include "batching/step_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace llmd::batching {
namespace {

constexpr std::uint64_t kMany = 1'000'000;

/// A machine on which a step costs 4 ms, half a millisecond a decoding sequence and 0.4 ms a prompt token.
double step_ms(std::uint32_t decodes, std::uint32_t prompt) { return 4 + 0.5 * decodes + 0.4 * prompt; }

struct Steps {
  double mean_ms = 0;
  double longest_ms = 0;
  std::uint32_t prompt_tokens = 0;
};

/// 2,000 steps with prompts always at hand, after as many to learn from.
Steps run(StepBudget& budget, std::uint32_t decodes) {
  constexpr int kSteps = 2'000;
  Steps result;
  for (int i = 0; i < 2 * kSteps; ++i) {
    const std::uint32_t prompt = budget.prefill_tokens(decodes, kMany);
    const double ms = step_ms(decodes, prompt);
    budget.observe(decodes, prompt, ms);
    if (i < kSteps) continue;
    result.mean_ms += ms / kSteps;
    result.longest_ms = std::max(result.longest_ms, ms);
    result.prompt_tokens += prompt;
  }
  return result;
}

TEST(StepBudget, APromptAloneHasNoLimit) {
  StepBudget budget{{}};
  EXPECT_EQ(budget.prefill_tokens(0, kMany), std::numeric_limits<std::uint32_t>::max());
  run(budget, 8);
  EXPECT_EQ(budget.prefill_tokens(0, kMany), std::numeric_limits<std::uint32_t>::max());
}

TEST(StepBudget, TheMeanStepTakesTheTargetAndNoneTakesMuchMoreThanAPiece) {
  for (const std::uint32_t decodes : {1U, 4U, 16U, 30U}) {
    StepBudget budget{{.target_ms = 25}};
    const Steps result = run(budget, decodes);
    EXPECT_NEAR(result.mean_ms, 25, 1.5) << decodes << " decode";
    EXPECT_LT(result.longest_ms, step_ms(decodes, 64) + 25) << decodes << " decode";
  }
}

TEST(StepBudget, WithoutATargetAStepIsStretchedAndTakesAtLeastTheFloor) {
  StepBudget large{{}};
  EXPECT_NEAR(run(large, 64).mean_ms, 1.75 * step_ms(64, 0), 4);
  StepBudget small{{}};
  EXPECT_NEAR(run(small, 2).mean_ms, 16, 1.5);
}

TEST(StepBudget, PromptsAdvanceEvenIfTheTargetLeavesNoTime) {
  StepBudget budget{{.target_ms = 1}};
  const Steps result = run(budget, 8);
  EXPECT_GT(result.prompt_tokens, 2'000U * 3);
  EXPECT_LT(result.mean_ms, 1.4 * step_ms(8, 0));
}

TEST(StepBudget, ShortPromptsNeedNotWaitForTheTimeOfAWholePiece) {
  StepBudget budget{{.target_ms = 25}};
  run(budget, 8);
  for (int i = 0; i < 100 && budget.prefill_tokens(8, kMany) == 0; ++i) budget.observe(8, 0, step_ms(8, 0));
  const std::uint32_t piece = budget.prefill_tokens(8, kMany);
  budget.observe(8, piece, step_ms(8, piece));
  ASSERT_EQ(budget.prefill_tokens(8, kMany), 0U);
  EXPECT_GE(budget.prefill_tokens(8, 10), 10U);
}

TEST(StepBudget, WhatQuietStepsSaveIsBounded) {
  StepBudget budget{{.target_ms = 25}};
  run(budget, 8);
  for (int i = 0; i < 10'000; ++i) budget.observe(8, 0, step_ms(8, 0));
  EXPECT_LT(step_ms(8, budget.prefill_tokens(8, kMany)), 6 * 25);
}

TEST(StepBudget, OneStepThatWaitedForACoreChangesLittle) {
  StepBudget budget{{.target_ms = 25}};
  const double before = run(budget, 8).mean_ms;
  budget.observe(8, 64, 5'000);
  budget.observe(8, 0, 5'000);
  EXPECT_NEAR(run(budget, 8).mean_ms, before, 2);
}

TEST(StepBudget, AnUnseenNumberOfSequencesTakesTheNearestThatWasSeen) {
  StepBudget budget{{.target_ms = 40}};
  budget.observe(2, 0, 5);
  budget.observe(0, 100, 40);
  EXPECT_EQ(budget.prefill_tokens(2, kMany), budget.prefill_tokens(40, kMany));
  EXPECT_GT(budget.prefill_tokens(2, kMany), 64U);
}

}  // namespace
}  // namespace llmd::batching
