#include "api/openai/first_choice.h"

#include <gtest/gtest.h>

namespace llmd::openai {
namespace {

TEST(FirstChoice, SaysWhatCameAndWhetherTextTellsAll) {
  const struct {
    const char* name;
    std::string json;
    bool present;
    const char* finish_reason;
    const char* text;
    bool other;
  } cases[] = {
      {"chat",
       R"({"choices":[{"index":0,"message":{"role":"assistant","content":"a\"\u00e9"},"finish_reason":"stop"}]})", true,
       "stop", "a\"\u00e9", false},
      {"stream", R"({"choices":[{"delta":{"content":""},"finish_reason":null}]})", true, "", "", false},
      {"completion", R"({"choices":[{"text":"t","finish_reason":"length","logprobs":null}]})", true, "length", "t",
       false},
      {"tool calls", R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"x"}]}}]})", true, "", "", true},
      {"no tool calls", R"({"choices":[{"message":{"content":"t","tool_calls":[]}}]})", true, "", "t", false},
      {"reasoning", R"({"choices":[{"message":{"content":null,"reasoning_content":"hm"}}]})", true, "", "", true},
      {"log probabilities", R"({"choices":[{"message":{"content":"t"},"logprobs":{"content":[1]}}]})", true, "", "t",
       true},
      {"the first of two", R"({"choices":[{"text":"a"},{"text":"b"}]})", true, "", "a", false},
      {"no choices", R"({"choices":[]})", false, "", "", false},
      {"other types", R"({"choices":{"0":1},"usage":7})", false, "", "", false},
  };
  for (const auto& item : cases) {
    std::string json = item.json;
    const auto choice = read_first_choice(json);
    ASSERT_TRUE(choice) << item.name;
    EXPECT_EQ(choice->present, item.present) << item.name;
    EXPECT_EQ(choice->finish_reason, item.finish_reason) << item.name;
    EXPECT_EQ(choice->text, item.text) << item.name;
    EXPECT_EQ(choice->has_other_output, item.other) << item.name;
  }
}

TEST(FirstChoice, ReadsTheCounts) {
  std::string json =
      R"({"choices":[{"text":"a"}],"usage":{"prompt_tokens":8,"completion_tokens":5,"total_tokens":13}})";
  const auto choice = read_first_choice(json);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->prompt_tokens, 8U);
  EXPECT_EQ(choice->completion_tokens, 5U);
  EXPECT_EQ(choice->raw, R"({"text":"a"})");
}

TEST(FirstChoice, RefusesWhatIsNoAnswer) {
  for (std::string json : {"", "[]", "{", R"({"choices":[{"text":)"}) EXPECT_FALSE(read_first_choice(json)) << json;
}

}  // namespace
}  // namespace llmd::openai
