#include "engine/llama/slot_plan.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"
#include "engine/testing/small_model.h"

namespace llmd::engine {
namespace {

using testkit::small_model;

TEST(PlanSlots, Gives64ShortSlotsAndOneOfTheWholeContextInOneGibibyte) {
  const auto classes = plan_slots(small_model(), {.kv_bytes = 1'024 * kMiB, .context_tokens = 8'192});
  ASSERT_TRUE(classes) << classes.error().to_string();
  EXPECT_GE(classes->front().slots, 64U);
  EXPECT_GE(classes->front().tokens_max, 512U);
  EXPECT_EQ(classes->back().tokens_max, 8'192U);
  EXPECT_GE(classes->back().slots, 1U);
}

TEST(PlanSlots, DefaultMemoryAlsoHolds32SequencesOfAThousandTokens) {
  const auto classes = plan_slots(small_model(), {.context_tokens = 8'192});
  ASSERT_TRUE(classes);
  std::uint32_t long_enough = 0;
  for (const auto& slot_class : *classes) long_enough += slot_class.tokens_max >= 1'280 ? slot_class.slots : 0;
  EXPECT_GE(long_enough, 33U);
}

TEST(PlanSlots, RefusesAContextThatDoesNotFitWithTheNumbers) {
  const auto classes = plan_slots(small_model(), {.kv_bytes = 100 * kMiB, .context_tokens = 8'192});
  ASSERT_FALSE(classes);
  EXPECT_EQ(classes.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(classes.error().what, "one sequence of 8192 tokens needs 180 MiB of KV memory; --kv-memory is 100 MiB");
  EXPECT_EQ(classes.error().hint, "raise --kv-memory, or lower --context to 4352");
}

TEST(PlanSlots, NeverGoesBeyondItsMemoryOrItsSequences) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    llamacpp::ModelFacts model = small_model();
    model.kv_bytes_per_token = 1 + rng.below(400'000);
    model.state_bytes_per_slot = rng.below(2) * rng.below(4 * kMiB);
    const SlotPlanOptions options{.kv_bytes = (1 + rng.below(16'000)) * kMiB,
                                  .context_tokens = static_cast<std::uint32_t>((1 + rng.below(512)) * kSlotGrain),
                                  .sequences_max = static_cast<std::uint32_t>(1 + rng.below(300))};
    const auto classes = plan_slots(model, options);
    if (!classes) continue;
    EXPECT_LE(kv_bytes_of(model, *classes), options.kv_bytes);
    std::uint32_t slots = 0;
    std::uint32_t previous = 0;
    for (const auto& slot_class : *classes) {
      slots += slot_class.slots;
      EXPECT_GT(slot_class.tokens_max, previous);
      EXPECT_EQ(slot_class.tokens_max % kSlotGrain, 0U);
      previous = slot_class.tokens_max;
    }
    EXPECT_LE(slots, std::min(options.sequences_max, kSlotsMax));
    EXPECT_EQ(classes->back().tokens_max, options.context_tokens);
  }
}

TEST(ChunkTokens, KeepsAttentionScoresOfLongSlotsSmall) {
  const auto model = small_model();
  EXPECT_EQ(chunk_tokens(model, 512), 512U);
  for (const std::uint32_t tokens : {512U, 8'192U, 32'768U, 131'072U}) {
    const std::uint64_t scores = std::uint64_t{chunk_tokens(model, tokens)} * tokens * model.heads_max * sizeof(float);
    EXPECT_TRUE(scores <= 96 * kMiB || chunk_tokens(model, tokens) == 32) << tokens;
  }
}

}  // namespace
}  // namespace llmd::engine
