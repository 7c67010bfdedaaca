#include <gtest/gtest.h>

#include "batching/batch_scheduler.h"

namespace llmd::batching {
namespace {

/// Runs one step in which every sequence that samples gets a token; `finishing` (if it is among them) ends with it.
void step(BatchScheduler& scheduler, SequenceId finishing) {
  std::vector<StepOutcome> outcomes;
  for (const Work& work : scheduler.schedule([](SequenceId) { return 0U; }).work) {
    outcomes.push_back({.id = work.id,
                        .computed = work.count,
                        .appended = work.sample ? 1U : 0U,
                        .finished = work.sample && work.id == finishing,
                        .restored_tokens = std::nullopt});
  }
  scheduler.update(outcomes);
}

TEST(DecodeTokensLeft, IsTheLimitUntilASequenceHasFinishedAndThenWhatLacksToTheMean) {
  BatchScheduler scheduler{{.classes = {{.slots = 4, .tokens_max = 1'024}}, .step_tokens_max = 256}};
  const SequenceId longer{1};
  const SequenceId shorter{2};
  const SequenceId nobody{9};
  ASSERT_TRUE(scheduler.add({.id = longer, .prompt_tokens = 8, .tokens_max = 108}).has_value());
  ASSERT_TRUE(scheduler.add({.id = shorter, .prompt_tokens = 8, .tokens_max = 38}).has_value());
  EXPECT_EQ(scheduler.decode_tokens_left(), 100U + 30U);
  for (int i = 0; i < 9; ++i) step(scheduler, nobody);
  EXPECT_EQ(scheduler.decode_tokens_left(), 91U + 21U);
  step(scheduler, shorter);
  EXPECT_EQ(scheduler.decode_tokens_left(), 1U) << "ten tokens are the mean now, and the longer one has ten";
  ASSERT_TRUE(scheduler.add({.id = SequenceId{3}, .prompt_tokens = 8, .tokens_max = 1'000}).has_value());
  ASSERT_TRUE(scheduler.add({.id = SequenceId{4}, .prompt_tokens = 8, .tokens_max = 12}).has_value());
  EXPECT_EQ(scheduler.decode_tokens_left(), 1U + 10U + 4U) << "at most what the limit leaves";
}

}  // namespace
}  // namespace llmd::batching
