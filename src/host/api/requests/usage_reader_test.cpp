#include "api/requests/usage_reader.h"

#include <gtest/gtest.h>

#include "base/protobuf_wire.h"

namespace llmd::api {
namespace {

std::string frame(std::string_view message, char flag = 0) {
  std::string out(1, flag);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(message.size() >> shift & 0xff);
  return out.append(message);
}

std::string chunk_message(std::uint64_t prompt, std::uint64_t completion, std::uint64_t cached) {
  const std::string chunk =
      WireWriter{}.bytes(1, "\x05").varint(2, prompt).varint(3, completion).varint(4, cached).text();
  return WireWriter{}.bytes(1, chunk).text();
}

struct Case {
  const char* name;
  AnswerForm form;
  std::string answer;
  std::optional<openai::AnswerUsage> expected;
};

std::vector<Case> cases() {
  const std::string complete = WireWriter{}
                                   .bytes(1, std::string(3'000, '\x07'))
                                   .bytes(2, "stop")
                                   .varint(3, 70'000)
                                   .varint(4, 3'000)
                                   .varint(5, 64'000)
                                   .varint(8, 0)
                                   .text();
  const std::string json = R"({"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}})";
  return {
      {"a stream of events with counts in each", AnswerForm::kText,
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n",
       openai::AnswerUsage{.prompt_tokens = 5, .cached_tokens = 0, .completion_tokens = 9, .total_tokens = 14}},
      {"Anthropic's events", AnswerForm::kText,
       "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25}}}\n\n" +
           std::string(5'000, ' ') + "\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":15}}\n\n",
       openai::AnswerUsage{.prompt_tokens = 25, .cached_tokens = 0, .completion_tokens = 15, .total_tokens = 40}},
      {"chunks, of which only the last counts", AnswerForm::kGenerateFrames,
       frame(chunk_message(0, 0, 0)) + frame(chunk_message(300, 1, 20)) + frame(chunk_message(300, 2, 20)),
       openai::AnswerUsage{.prompt_tokens = 300, .cached_tokens = 20, .completion_tokens = 2, .total_tokens = 302}},
      {"a complete message", AnswerForm::kGenerateFrames, frame(WireWriter{}.bytes(2, complete).text()),
       openai::AnswerUsage{
           .prompt_tokens = 70'000, .cached_tokens = 64'000, .completion_tokens = 3'000, .total_tokens = 73'000}},
      {"an embedding", AnswerForm::kEmbedFrames,
       frame(WireWriter{}.bytes(1, std::string(4'096, '\x3f')).varint(2, 7).varint(3, 1'024).text()),
       openai::AnswerUsage{.prompt_tokens = 7, .cached_tokens = 0, .completion_tokens = 0, .total_tokens = 7}},
      {"JSON in HttpBody", AnswerForm::kHttpBodyFrames,
       frame(WireWriter{}.bytes(1, "application/json").bytes(2, json).text()),
       openai::AnswerUsage{.prompt_tokens = 2, .cached_tokens = 0, .completion_tokens = 1, .total_tokens = 3}},
      {"JSON in two HttpBodies", AnswerForm::kHttpBodyFrames,
       frame(WireWriter{}.bytes(2, json.substr(0, 20)).text()) + frame(WireWriter{}.bytes(2, json.substr(20)).text()),
       openai::AnswerUsage{.prompt_tokens = 2, .cached_tokens = 0, .completion_tokens = 1, .total_tokens = 3}},
      {"a compressed frame", AnswerForm::kGenerateFrames, frame(chunk_message(1, 1, 0), 1), std::nullopt},
      {"no protobuf", AnswerForm::kGenerateFrames, frame("\xff\xff\xff"), std::nullopt},
      {"a frame that is cut", AnswerForm::kGenerateFrames, frame(chunk_message(1, 1, 0)).substr(0, 9), std::nullopt},
      {"nobody looks", AnswerForm::kUnknown, json, std::nullopt},
  };
}

TEST(UsageReader, FindsCountsInEveryForm) {
  for (const Case& item : cases()) EXPECT_EQ(find_usage(item.form, item.answer), item.expected) << item.name;
}

TEST(UsageReader, FindsTheSameWhereverTheAnswerIsCut) {
  for (const Case& item : cases()) {
    const std::string_view answer = item.answer;
    for (std::size_t cut = 0; cut <= answer.size(); ++cut) {
      UsageReader reader{item.form};
      reader.read(answer.substr(0, cut));
      reader.read(answer.substr(cut));
      ASSERT_EQ(reader.usage(), item.expected) << item.name << ", cut at " << cut;
    }
    UsageReader reader{item.form};
    for (const char c : answer) reader.read({&c, 1});
    EXPECT_EQ(reader.usage(), item.expected) << item.name << ", byte by byte";
  }
}

TEST(UsageReader, PassesOverAFrameThatIsTooLarge) {
  const std::string large = frame(std::string(UsageReader::kFrameBytesMax + 1, '\x0a'));
  const std::string small = frame(chunk_message(4, 2, 0));
  for (const std::size_t piece : {std::size_t{3}, std::size_t{4'096}, large.size() - 1}) {
    UsageReader reader{AnswerForm::kGenerateFrames};
    const std::string answer = large + small;
    for (std::size_t at = 0; at < answer.size(); at += piece) reader.read(std::string_view{answer}.substr(at, piece));
    ASSERT_TRUE(reader.usage()) << piece;
    EXPECT_EQ(reader.usage()->prompt_tokens, 4U) << piece;
  }
}

TEST(UsageReader, KeepsLittleOfCountsThatNeverEnd) {
  UsageReader reader{AnswerForm::kText};
  reader.read(R"({"usage":{"prompt_tokens":3,"x":")");
  const std::string filling(10'000, 'x');
  for (int i = 0; i < 20; ++i) reader.read(filling);
  reader.read(R"("}})");
  EXPECT_TRUE(reader.usage()) << "what the first bytes say counts when it gets too long";
}

}  // namespace
}  // namespace llmd::api
