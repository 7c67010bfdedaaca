#include "simulation/workloads/dialog.h"

#include <gtest/gtest.h>

namespace llmd::simulation {
namespace {

constexpr LogNormal tokens(double count) { return {.median = count, .sigma = 0, .min = 1, .max = count}; }

DialogOptions three_turns() {
  return {.turns_mean = 1e9,
          .turns_max = 3,
          .said_tokens = tokens(100),
          .answer_tokens = tokens(30),
          .pause_s = {.median = 2, .sigma = 0, .min = 2, .max = 2}};
}

DialogOpening opening(Generator& generator) {
  BlockChain history{generator.block_tokens()};
  history.append({.id = 5, .tokens = 1'000});
  return {.history = history, .said = generator.fresh_text(40), .arrival = seconds{7}};
}

TEST(Dialog, EachTurnSaysAllThatWasSaidAndMore) {
  Generator generator{{.requests = 10}};
  const SimRequest first = hold_dialog(opening(generator), three_turns(), generator);
  EXPECT_EQ(first.arrival, seconds{7});
  EXPECT_EQ(first.prompt_tokens, 1'040U);
  ASSERT_NE(first.next_turn, nullptr);
  EXPECT_EQ(first.next_turn->arrival, seconds{2}) << "later turns tell the pause";
  EXPECT_EQ(first.next_turn->prompt_tokens, 1'040U + 30 + 100);
  EXPECT_EQ(first.next_turn->session, first.session);
  ASSERT_NE(first.next_turn->next_turn, nullptr);
  EXPECT_EQ(first.next_turn->next_turn->prompt_tokens, 1'040U + 130 + 130);
  EXPECT_EQ(first.next_turn->next_turn->next_turn, nullptr);
  EXPECT_EQ(first.id, 1U);
  EXPECT_EQ(first.next_turn->next_turn->id, 3U);
}

TEST(Dialog, EndsBeforeTheContextIsExceeded) {
  Generator generator{{.requests = 10}};
  DialogOptions options = three_turns();
  options.context_tokens_max = 1'040 + 30 + 130;
  const SimRequest first = hold_dialog(opening(generator), options, generator);
  ASSERT_NE(first.next_turn, nullptr) << "the second turn just fits";
  EXPECT_EQ(first.next_turn->next_turn, nullptr);
  EXPECT_EQ(generator.left(), 8U) << "a turn that is not asked is not counted";
  options.context_tokens_max = 1;
  EXPECT_EQ(hold_dialog(opening(generator), options, generator).next_turn, nullptr) << "the first is always asked";
}

TEST(Dialog, EndsWithTheLastRequest) {
  Generator generator{{.requests = 2}};
  const SimRequest first = hold_dialog(opening(generator), three_turns(), generator);
  ASSERT_NE(first.next_turn, nullptr);
  EXPECT_EQ(first.next_turn->next_turn, nullptr);
  EXPECT_EQ(generator.left(), 0U);
}

TEST(Dialog, SessionsComeAtTheRateOfRequestsByTurns) {
  EXPECT_NEAR(session_arrivals({.rate_per_s = 12}, three_turns()).rate_per_s, 4, 1e-6);
}

TEST(Dialog, TheLongestSessionEndsWithoutHarm) {
  Generator generator{{.requests = 1'000'000}};
  DialogOptions options = three_turns();
  options.turns_max = 1'000'000;
  options.said_tokens = options.answer_tokens = tokens(1);
  SimRequest first = hold_dialog(opening(generator), options, generator);
  EXPECT_EQ(1'000'000 - generator.left(), kTurnsMax);
}

}  // namespace
}  // namespace llmd::simulation
