#include "api/openai/answer_usage.h"

#include <gtest/gtest.h>

#include <string>

namespace llmd::openai {
namespace {

TEST(AnswerUsage, IsFoundFromTheEndInEveryProtocol) {
  struct Case {
    const char* name;
    std::string text;
    std::optional<AnswerUsage> expected;
  };
  const auto usage = [](std::uint32_t prompt, std::uint32_t cached, std::uint32_t completion, std::uint32_t total) {
    return AnswerUsage{
        .prompt_tokens = prompt, .cached_tokens = cached, .completion_tokens = completion, .total_tokens = total};
  };
  const Case cases[] = {
      {"OpenAI's",
       R"({"choices":[{"text":"\"usage\": {\"prompt_tokens\": 9}"}],"usage":{"prompt_tokens":12,"total_tokens":15,)"
       R"("completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}})",
       usage(12, 8, 3, 15)},
      {"details that are null", R"({"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null}})",
       usage(1, 0, 2, 3)},
      {"embeddings", R"({"data":[0.5],"usage" : { "prompt_tokens" : 5, "total_tokens" : 5 } })", usage(5, 0, 0, 5)},
      {"responses",
       R"({"object":"response","usage":{"input_tokens":31,"input_tokens_details":{"cached_tokens":7},)"
       R"("output_tokens":4,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":35}})",
       usage(31, 7, 4, 35)},
      {"the end of a stream of responses",
       "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n"
       "event: response.completed\ndata: {\"response\":{\"output\":[],\"usage\":{\"input_tokens\":3,"
       "\"output_tokens\":2,\"total_tokens\":5}},\"type\":\"response.completed\"}\n\n",
       usage(3, 0, 2, 5)},
      {"Anthropic's", R"({"usage":{"input_tokens":10,"cache_read_input_tokens":6,"output_tokens":4}})",
       usage(10, 6, 4, 14)},
      {"a stream of Anthropic's",
       "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,"
       "\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_delta\"}\n\n"
       "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n"
       "data: {\"type\":\"message_stop\"}\n\n",
       usage(25, 5, 15, 40)},
      {"SGLang's",
       R"({"text":"x","meta_info":{"id":"1","finish_reason":{"type":"length"},"prompt_tokens":9,)"
       R"("completion_tokens":2,"cached_tokens":1}})",
       usage(9, 1, 2, 11)},
      {"numbers as strings", R"({"usage":{"prompt_tokens":"4","completion_tokens":"1"}})", usage(4, 0, 1, 5)},
      {"counts behind the object are none of it", R"({"usage":{"prompt_tokens":4},"completion_tokens":9})",
       usage(4, 0, 0, 4)},
      {"null", R"({"choices":[],"usage":null})", std::nullopt},
      {"other counts", R"({"usage":{"x":1}})", std::nullopt},
      {"a string", R"({"type":"usage","prompt_tokens":1})", std::nullopt},
      {"cut", R"({"usage":)", std::nullopt},
      {"nothing", "", std::nullopt},
  };
  for (const Case& item : cases) EXPECT_EQ(find_usage(item.text), item.expected) << item.name;
}

TEST(AnswerUsage, TellsWhereTheTextIsCut) {
  const std::string text = R"({"a":1,"usage":{"prompt_tokens":12,"completion_tokens":3}} )";
  const std::size_t begin = text.find(R"("usage")");
  const std::size_t end = text.rfind('}');
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    PartialUsage usage;
    const std::size_t at = read_usage(std::string_view{text}.substr(0, cut), usage);
    EXPECT_EQ(usage.finish().has_value(), cut >= end) << cut;
    if (cut > begin && cut < end) {
      EXPECT_EQ(at, begin) << cut;
    }
  }
}

}  // namespace
}  // namespace llmd::openai
