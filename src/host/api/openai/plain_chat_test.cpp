#include "api/openai/plain_chat.h"

#include <gtest/gtest.h>

namespace llmd::openai {
namespace {

TEST(PlainChat, IsRolesAndTextsSoThatALaterTurnBeginsAsTheEarlierOne) {
  const auto first = plain_chat(R"([{"role":"user","content":"a \"b\"\u00e9"}])");
  const auto later = plain_chat(R"([{"role":"user","content":[{"type":"text","text":"a \"b\"é"}]},)"
                                R"({"role":"assistant","content":"yes"}])");
  ASSERT_TRUE(first);
  ASSERT_TRUE(later);
  EXPECT_EQ(*first, "user\na \"b\"é\n");
  EXPECT_EQ(*later, *first + "assistant\nyes\n");
}

TEST(PlainChat, RefusesWhatIsNoArray) {
  for (const std::string_view text : {"", "{}", "[", R"("a")"}) EXPECT_FALSE(plain_chat(text)) << text;
}

}  // namespace
}  // namespace llmd::openai
