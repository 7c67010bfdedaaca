#include "apps/sim/cost_samples.h"

#include <gtest/gtest.h>

namespace llmd::sim {
namespace {

using simulation::CostSample;

ProbeAnswer answer(std::uint32_t prompt_tokens, milliseconds first, std::size_t tokens, milliseconds apart) {
  ProbeAnswer made{.prompt_tokens = prompt_tokens};
  for (std::size_t i = 0; i < tokens; ++i) made.tokens.push_back(TimePoint{} + first + static_cast<int>(i) * apart);
  return made;
}

TEST(DecodeSample, IsWhatAStepTookWhileAllDecoded) {
  // The second begins later; before that the first had quicker steps.
  ProbeAnswer first = answer(100, milliseconds{0}, 5, milliseconds{2});
  for (int i = 0; i < 20; ++i) first.tokens.push_back(TimePoint{} + milliseconds{20 + i * 10});
  const ProbeAnswer second = answer(200, milliseconds{20}, 20, milliseconds{10});
  const auto sample = decode_sample({first, second});
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->kind, simulation::CostSample::Kind::kDecode);
  EXPECT_NEAR(sample->seconds, 0.010, 1e-9);
  EXPECT_EQ(sample->decode_sequences, 2);
  EXPECT_NEAR(sample->decode_kilotokens, 0.1 + 0.015 + 0.2 + 0.010, 1e-9);
  EXPECT_EQ(sample->steps, 1);
}

TEST(DecodeSample, IsNothingIfTheyHardlyDecodedTogether) {
  const ProbeAnswer first = answer(10, milliseconds{0}, 12, milliseconds{10});
  EXPECT_FALSE(decode_sample({first, answer(10, milliseconds{80}, 12, milliseconds{10})}));
  EXPECT_FALSE(decode_sample({first, ProbeAnswer{}}));
  EXPECT_FALSE(decode_sample({answer(10, milliseconds{0}, 3, milliseconds{1})}));
}

TEST(ChunkOf, IsASizeThatServersHave) {
  EXPECT_EQ(chunk_of(2'050, 9), 256U);
  EXPECT_EQ(chunk_of(2'048, 4), 512U);
  EXPECT_EQ(chunk_of(1'000, 1), 1'024U);
  EXPECT_EQ(chunk_of(1'000, 7), 143U) << "no usual one";
  EXPECT_EQ(chunk_of(10, 0), 0U);
  EXPECT_EQ(chunk_of(10, 11), 0U);
}

TEST(PromptSample, IsTheTimeToTheFirstTokenOfWhatWasComputed) {
  ProbeAnswer asked = answer(1'000, milliseconds{250}, 2, milliseconds{10});
  asked.sent = TimePoint{} + milliseconds{50};
  asked.cached_tokens = 400;
  const CostSample sample = prompt_sample(CostSample::Kind::kCachedPrompt, asked, 256);
  EXPECT_EQ(sample.kind, CostSample::Kind::kCachedPrompt);
  EXPECT_NEAR(sample.seconds, 0.2, 1e-9);
  EXPECT_EQ(sample.steps, 3);
  EXPECT_EQ(sample.prefill_tokens, 600);
  EXPECT_NEAR(sample.prefill_kilotokens, 600 * 0.7, 1e-9);
  EXPECT_EQ(sample.restored_tokens, 400);
  EXPECT_EQ(sample.requests, 1);
  asked.cached_tokens = 2'000;  // a server may say anything
  EXPECT_EQ(prompt_sample(CostSample::Kind::kPrompt, asked, 256).prefill_tokens, 1);
}

}  // namespace
}  // namespace llmd::sim
