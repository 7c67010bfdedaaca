#include "apps/epp/request_body.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::epp {
namespace {

TEST(RequestBody, IsPutTogetherAndSentWithoutACopy) {
  Budget budget{"test", 1'000};
  RequestBody body{budget, 100};
  body.expect(10);
  ASSERT_TRUE(body.append("01234"));
  ASSERT_TRUE(body.append("56789"));
  EXPECT_EQ(body.bytes(), "0123456789");
  EXPECT_EQ(body.part(3, 4).bytes, "3456");
  EXPECT_EQ(body.part(3, 4).bytes.data(), body.bytes().data() + 3);
}

TEST(RequestBody, BytesCountUntilTheLastPieceIsGone) {
  Budget budget{"test", 1'000};
  {
    RequestBody body{budget, 100};
    ASSERT_TRUE(body.append("0123456789"));
    net::H2Bytes piece = body.part(0, 10);
    body.release();
    EXPECT_EQ(body.size(), 0U);
    EXPECT_EQ(piece.bytes, "0123456789");
    EXPECT_EQ(budget.used_bytes(), 10U);
    piece = {};
    EXPECT_EQ(budget.used_bytes(), 0U);
    ASSERT_TRUE(body.append("abc"));
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(RequestBody, LimitsAreErrors) {
  Budget budget{"test", 12};
  RequestBody body{budget, 10};
  body.expect(std::size_t{1} << 40U);  // announced only
  ASSERT_TRUE(body.append("01234567"));
  EXPECT_EQ(body.append("89a").error().code, ErrorCode::kBodyTooLarge);
  RequestBody other{budget, 10};
  EXPECT_EQ(other.append("01234").error().code, ErrorCode::kBudgetExhausted);
  EXPECT_TRUE(other.append("0123"));
}

}  // namespace
}  // namespace llmd::epp
