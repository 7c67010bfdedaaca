#include "apps/gateway/prompt_tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "llamacpp/test_model.h"
#include "runtime/testing/run.h"

namespace llmd::gateway {
namespace {

/// A tokenizer that has loaded, and calls of it on a loop.
class Fixture {
 public:
  Fixture() {
    const TimePoint deadline = SteadyClock::now() + seconds{60};
    while (!loaded() && SteadyClock::now() < deadline) std::this_thread::yield();
  }

  Result<PromptTokenizer::Tokens> read(const std::string& path, const std::string& body,
                                       std::uint32_t context_tokens = 2'048) {
    Result<PromptTokenizer::Tokens> out;
    testkit::run_task(loop_, [](Fixture& self, PromptTokenizer::Call call, auto& to) -> Task<void> {
      to = co_await self.tokenizer_.read(call);
    }(*this, call(path, body, context_tokens), out));
    return out;
  }

  std::optional<Result<std::string>> answer(const std::string& path, const std::string& body) {
    std::optional<Result<std::string>> out;
    testkit::run_task(loop_, [](Fixture& self, PromptTokenizer::Call call, auto& to) -> Task<void> {
      to = co_await self.tokenizer_.answer(call);
    }(*this, call(path, body, 2'048), out));
    return out;
  }

 private:
  bool loaded() { return answer("/tokenize", R"({"prompt":"a"})").has_value(); }
  PromptTokenizer::Call call(const std::string& path, const std::string& body, std::uint32_t context_tokens) {
    return {.loop = loop_,
            .path = path,
            .body = body,
            .context_tokens = context_tokens,
            .deadline = SteadyClock::now() + seconds{30}};
  }

  MetricsRegistry metrics_;
  Loop loop_{"test"};
  PromptTokenizer tokenizer_{{.model_path = llamacpp::test_model_path(), .chat_template = {}}, metrics_};
};

std::string chat(const std::string& content, const std::string& more = {}) {
  return R"({"messages":[{"role":"user","content":")" + content + "\"}]" + more + "}";
}

TEST(PromptTokenizer, TellsTheWorkerTheTokensThatItWouldHaveMade) {
  Fixture f;
  const auto tokens = f.read("/v1/chat/completions", chat("hi there"));
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->prompts.size(), 1U);
  EXPECT_EQ(openai::decode_prompt_tokens(tokens->field), tokens->prompts);
  const PromptContext context = make_prompt_context(*Tokenizer::from_model(llamacpp::test_model()), 2'048);
  const openai::ChatPrompt prompt{.messages_json = R"([{"role":"user","content":"hi there"}])"};
  const auto prepared = prepare_chat(context, prompt, {}, {.known = tokens->prompts});
  ASSERT_TRUE(prepared);
  EXPECT_TRUE(prepared->tokens_were_known);
  EXPECT_EQ(prepared->tokens, prepare_chat(context, prompt, {})->tokens);
}

TEST(PromptTokenizer, CountsEachPromptOfACompletionAndSendsNothingForIds) {
  Fixture f;
  const auto texts = f.read("/v1/completions", R"({"prompt":["one two","three"]})");
  ASSERT_TRUE(texts);
  EXPECT_EQ(texts->prompts.size(), 2U);
  EXPECT_FALSE(texts->field.empty());
  const auto ids = f.read("/v1/completions", R"({"prompt":[5,6,7]})");
  ASSERT_TRUE(ids);
  ASSERT_EQ(ids->prompts.size(), 1U);
  EXPECT_EQ(ids->prompts.front().tokens, (std::vector<TokenId>{5, 6, 7}));
  EXPECT_TRUE(ids->field.empty());
}

TEST(PromptTokenizer, ALongPromptGivesTheSameOnAnotherThread) {
  Fixture f;
  std::string text;
  while (text.size() < 3 * PromptTokenizer::kInlineBytesMax) text += "word after word ";
  const auto tokens = f.read("/v1/chat/completions", chat(text), 16'384);
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->prompts.size(), 1U);
  EXPECT_GT(tokens->prompts.front().tokens.size(), text.size() / 10);
}

TEST(PromptTokenizer, RefusesOnlyWhatIsTooLongAndLeavesAllElseToTheWorker) {
  Fixture f;
  std::string text;
  while (text.size() < 20'000) text += "word after word ";
  const std::string schema = R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{}}})";
  const struct {
    const char* name;
    const char* path;
    std::string body;
    bool refused;
  } cases[] = {
      {"a long chat", "/v1/chat/completions", chat(text), true},
      {"a long completion", "/v1/completions", R"({"prompt":")" + text + "\"}", true},
      {"output beyond the context", "/v1/completions", R"({"prompt":"a","max_tokens":2048})", true},
      {"a hopelessly long one", "/v1/completions", R"({"prompt":")" + std::string(900'000, 'a') + "\"}", true},
      {"long, with a grammar to check first", "/v1/chat/completions", chat(text, schema), false},
      {"no messages", "/v1/chat/completions", R"({"messages":[]})", false},
      {"a role that is none", "/v1/chat/completions", R"({"messages":[{"role":"x","content":"a"}]})", false},
      {"a bias for no token", "/v1/completions", R"({"prompt":")" + text + R"(","logit_bias":{"999999":1}})", false},
      {"larger than is looked at", "/v1/completions", R"({"prompt":")" + std::string(2'000'000, 'a') + "\"}", false},
      {"another path", "/v1/embeddings", R"({"input":"a"})", false},
  };
  for (const auto& item : cases) {
    const auto tokens = f.read(item.path, item.body);
    EXPECT_EQ(!tokens.has_value(), item.refused) << item.name;
    if (tokens) {
      EXPECT_TRUE(tokens->prompts.empty()) << item.name;
    } else {
      EXPECT_EQ(tokens.error().code, ErrorCode::kContextLengthExceeded) << item.name;
    }
  }
}

TEST(PromptTokenizer, EstimatesWhileNoWorkerHasToldItsContextAndWithoutAReadableModel) {
  Fixture f;
  const auto unknown = f.read("/v1/chat/completions", chat("hi"), 0);
  ASSERT_TRUE(unknown);
  EXPECT_TRUE(unknown->prompts.empty());
  MetricsRegistry metrics;
  Loop loop{"test"};
  PromptTokenizer broken{{.model_path = "missing.gguf", .chat_template = {}}, metrics};
  const std::string body = chat("hi");
  Result<PromptTokenizer::Tokens> tokens;
  testkit::run_task(loop, [](Loop& on, PromptTokenizer& of, const std::string& text, auto& to) -> Task<void> {
    const PromptTokenizer::Call call{
        .loop = on, .path = "/v1/chat/completions", .body = text, .context_tokens = 100, .deadline = {}};
    to = co_await of.read(call);
  }(loop, broken, body, tokens));
  ASSERT_TRUE(tokens);
  EXPECT_TRUE(tokens->prompts.empty());
}

TEST(PromptTokenizer, AnswersTokenizeAndDetokenize) {
  Fixture f;
  const auto tokens = f.answer("/tokenize", R"({"prompt":"hello there"})");
  ASSERT_TRUE(tokens && *tokens);
  EXPECT_NE((*tokens)->find(R"("count":2,"max_model_len":2048)"), std::string::npos) << **tokens;
  const auto text = f.answer("/detokenize", R"({"tokens":[28120,665]})");
  ASSERT_TRUE(text && *text);
  EXPECT_EQ(**text, R"({"prompt":"hello there"})");
  const auto wrong = f.answer("/detokenize", R"({"tokens":[99999999]})");
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->error().code, ErrorCode::kInvalidRequest);
  EXPECT_FALSE(f.answer("/v1/completions", "{}"));
}

}  // namespace
}  // namespace llmd::gateway
