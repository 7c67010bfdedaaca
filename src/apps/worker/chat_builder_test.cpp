#include "apps/worker/chat_builder.h"

#include <gtest/gtest.h>

#include <string>

#include "llamacpp/test_model.h"
#include "tokenizer/prepare.h"

namespace llmd::worker {
namespace {

TEST(ChatBuilder, StreamsOneEventATokenThenTheFinish) {
  const openai::ChatPrompt prompt{.messages_json = R"([{"role":"user","content":"hi"}])"};
  const auto prepared =
      prepare_chat(make_prompt_context(*Tokenizer::from_model(llamacpp::test_model()), 2'048), prompt, {});
  ASSERT_TRUE(prepared.has_value());
  ChatBuilder builder{{.writer = openai::make_chat_writer({.id = "c", .model = "m"}, false)}, prepared->rendered};
  std::string out;
  SequenceEvent first;
  first.tokens = {{.token = 1, .text = "Hel"}, {.token = 2, .text = "lo"}};
  builder.append_events(0, std::move(first), out);
  SequenceEvent last;
  last.finish = FinishReason::kStop;
  builder.append_events(0, std::move(last), out);
  EXPECT_NE(out.find(R"("delta":{"role":"assistant","content":"Hel"})"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("delta":{"content":"lo"})"), std::string::npos) << out;
  EXPECT_NE(out.find(R"("delta":{},"logprobs":null,"finish_reason":"stop")"), std::string::npos) << out;
}

}  // namespace
}  // namespace llmd::worker
