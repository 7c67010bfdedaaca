#include "base/error.h"

#include <gtest/gtest.h>

namespace llmd {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::kInvalidRequest, "value is odd", "give an even one");
  return value / 2;
}

Result<int> quarter(int value) {
  LLMD_TRY(const int once, half(value));
  LLMD_TRY(const int twice, half(once));
  return twice;
}

TEST(Result, TryReturnsTheFirstErrorUnchanged) {
  EXPECT_EQ(quarter(8).value(), 2);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().to_string(), "invalid_request: value is odd (give an even one)");
}

TEST(ErrorCode, HasTheNamesAndStatusesThatClientsRelyOn) {
  EXPECT_EQ(error_code_name(ErrorCode::kModelNotFound), "model_not_found");
  EXPECT_EQ(http_status(ErrorCode::kModelNotFound), 404);
  EXPECT_EQ(http_status(ErrorCode::kContextLengthExceeded), 400);
  EXPECT_EQ(http_status(ErrorCode::kInvalidApiKey), 401);
  EXPECT_EQ(http_status(ErrorCode::kOverloaded), 429);
}

}  // namespace
}  // namespace llmd
