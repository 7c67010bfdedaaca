#include "scheduling/learning/request_reward.h"

#include <gtest/gtest.h>

namespace llmd::scheduling {
namespace {

constexpr WeightTrial kTrial{.made = true, .ttft_objective_ms = 100, .tpot_objective_ms = 10};

Outcome answer(int ttft_ms, int tpot_ms) {
  return {.status = 200,
          .ttft = milliseconds{ttft_ms},
          .total = milliseconds{ttft_ms + 10 * tpot_ms},
          .streamed = milliseconds{10 * tpot_ms},
          .completion_tokens = 11};
}

TEST(RequestReward, CountsObjectivesFirstAndThenLatencies) {
  const float fast = *request_reward(kTrial, answer(10, 1));
  const float slower = *request_reward(kTrial, answer(90, 9));
  const float late = *request_reward(kTrial, answer(110, 1));
  const float later = *request_reward(kTrial, answer(500, 50));
  EXPECT_LE(fast, 1);
  EXPECT_GT(fast, slower);
  EXPECT_GT(slower, late);
  EXPECT_GT(late, later);
  EXPECT_GE(later, 0);
}

TEST(RequestReward, JudgesAnAnswerInOnePieceByItsWhole) {
  Outcome whole = answer(190, 0);
  whole.streamed = {};
  EXPECT_GT(*request_reward(kTrial, whole), 0.7F);  // 100 ms and ten tokens of 10 ms are hoped for
  whole.total = milliseconds{210};
  EXPECT_LT(*request_reward(kTrial, whole), 0.3F);
}

TEST(RequestReward, BlamesTheEndpointForItsFaultsOnly) {
  Outcome outcome = answer(10, 1);
  outcome.endpoint_failed = true;
  EXPECT_EQ(request_reward(kTrial, outcome), 0.0F);
  outcome.cancelled = true;
  EXPECT_FALSE(request_reward(kTrial, outcome));
  outcome = answer(10, 1);
  outcome.client_slow = true;
  EXPECT_FALSE(request_reward(kTrial, outcome));
  outcome = answer(10, 1);
  outcome.retries = 1;
  EXPECT_FALSE(request_reward(kTrial, outcome));
  outcome = answer(10, 1);
  outcome.status = 400;
  EXPECT_FALSE(request_reward(kTrial, outcome));
}

}  // namespace
}  // namespace llmd::scheduling
