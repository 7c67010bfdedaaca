#include "apps/epp/answer_tail.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::epp {
namespace {

constexpr std::string_view kUsage = R"(data: {"usage":{"prompt_tokens":7,"completion_tokens":10,"total_tokens":17}})"
                                    "\n\ndata: [DONE]\n\n";

TEST(AnswerTail, FindsTheCountsHoweverTheEndIsCut) {
  for (std::size_t cut = 1; cut < kUsage.size(); ++cut) {
    AnswerTail tail;
    for (int i = 0; i < 2'000; ++i) tail.feed("data: {\"choices\":[]}\n\n");
    tail.feed(kUsage.substr(0, cut));
    tail.feed(kUsage.substr(cut));
    const auto usage = tail.usage();
    ASSERT_TRUE(usage) << cut;
    EXPECT_EQ(usage->prompt_tokens, 7U);
    EXPECT_EQ(usage->completion_tokens, 10U);
    EXPECT_EQ(tail.bytes(), 2'000 * 22 + kUsage.size());
  }
}

TEST(AnswerTail, CountsEventsWhereNothingIsTold) {
  AnswerTail tail;
  for (int i = 0; i < 5; ++i) tail.feed("data: {}\n\n");
  EXPECT_FALSE(tail.usage());
  EXPECT_EQ(tail.events(), 5U);
}

TEST(AnswerTail, FindsThemInOneLargePiece) {
  AnswerTail tail;
  tail.feed(std::string(100'000, ' ') + std::string{kUsage});
  ASSERT_TRUE(tail.usage());
  EXPECT_EQ(tail.usage()->completion_tokens, 10U);
}

}  // namespace
}  // namespace llmd::epp
