#include "api/openai/completion_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/openai/embedding_request.h"
#include "api/openai/tokenize_request.h"

namespace llmd::openai {
namespace {

using testing::ElementsAre;
using testing::VariantWith;

TEST(CompletionRequest, ReadsEveryFormOfPrompt) {
  const auto text = parse_completion(R"({"prompt":"ab"})");
  ASSERT_TRUE(text.has_value());
  EXPECT_THAT(text->prompts, ElementsAre(VariantWith<std::string>("ab")));
  EXPECT_EQ(text->generation.max_tokens, 16U);

  const auto texts = parse_completion(R"({"prompt":["a",""]})");
  ASSERT_TRUE(texts.has_value());
  EXPECT_THAT(texts->prompts, ElementsAre(VariantWith<std::string>("a"), VariantWith<std::string>("")));

  const auto ids = parse_completion(R"({"prompt":[1,2,3]})");
  ASSERT_TRUE(ids.has_value());
  EXPECT_THAT(ids->prompts, ElementsAre(VariantWith<std::vector<TokenId>>(ElementsAre(1, 2, 3))));

  const auto lists = parse_completion(R"({"prompt":[[1],[2,3]]})");
  ASSERT_TRUE(lists.has_value());
  EXPECT_THAT(lists->prompts, ElementsAre(VariantWith<std::vector<TokenId>>(ElementsAre(1)),
                                          VariantWith<std::vector<TokenId>>(ElementsAre(2, 3))));
}

struct Refusal {
  const char* name;
  const char* body;
  const char* param;
};

TEST(CompletionRequest, NamesThePlaceOfWhatItRefuses) {
  const Refusal table[] = {
      {"missing", R"({"model":"m"})", "prompt"},
      {"null", R"({"prompt":null})", "prompt"},
      {"number", R"({"prompt":5})", "prompt"},
      {"empty list", R"({"prompt":[]})", "prompt"},
      {"empty ids", R"({"prompt":[[]]})", "prompt[0]"},
      {"negative id", R"({"prompt":[1,-2]})", "prompt[1]"},
      {"large id", R"({"prompt":[4294967296]})", "prompt[0]"},
      {"fraction", R"({"prompt":[1.5]})", "prompt[0]"},
      {"mixed", R"({"prompt":["a",1]})", "prompt[1]"},
      {"mixed ids", R"({"prompt":[1,"a"]})", "prompt[1]"},
      {"no output", R"({"prompt":"a","max_tokens":0})", "max_tokens"},
      {"logprobs", R"({"prompt":"a","logprobs":true})", "logprobs"},
      {"many logprobs", R"({"prompt":"a","logprobs":21})", "logprobs"},
      {"echo", R"({"prompt":"a","echo":"yes"})", "echo"},
      {"suffix", R"({"prompt":"a","suffix":1})", "suffix"},
      {"choices", R"({"prompt":["a","b","c"],"n":100})", "n"},
      {"echo and suffix", R"({"prompt":"a","suffix":"b","echo":true})", "suffix"},
  };
  for (const Refusal& row : table) {
    SCOPED_TRACE(row.name);
    const auto request = parse_completion(row.body);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(request.error().param, row.param) << request.error().what;
  }
}

TEST(CompletionRequest, AllowsNoOutputWithEchoAlone) {
  const auto request = parse_completion(R"({"prompt":"a","max_tokens":0,"echo":true,"logprobs":0})");
  ASSERT_TRUE(request.has_value()) << request.error().what;
  EXPECT_EQ(request->generation.max_tokens, 0U);
  EXPECT_EQ(request->generation.sampling.top_logprobs, 0U);
}

TEST(EmbeddingRequest, ReadsInputsAndRefusesEmptyOnes) {
  const auto request = parse_embedding(R"({"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":8})");
  ASSERT_TRUE(request.has_value()) << request.error().what;
  EXPECT_EQ(request->inputs.size(), 2U);
  EXPECT_TRUE(request->base64);
  EXPECT_EQ(request->dimensions, 8U);
  const Refusal table[] = {
      {"missing", R"({})", "input"},
      {"empty text", R"({"input":""})", "input"},
      {"empty entry", R"({"input":["a",""]})", "input"},
      {"format", R"({"input":"a","encoding_format":"hex"})", "encoding_format"},
      {"dimensions", R"({"input":"a","dimensions":0})", "dimensions"},
  };
  for (const Refusal& row : table) {
    SCOPED_TRACE(row.name);
    const auto refused = parse_embedding(row.body);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().param, row.param);
  }
}

TEST(TokenizeRequest, TakesAPromptOrMessagesButNotBoth) {
  const auto text = parse_tokenize(R"({"prompt":"a","add_special_tokens":false,"return_token_strs":true})");
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(text->text, "a");
  EXPECT_EQ(text->add_special_tokens, false);
  EXPECT_TRUE(text->return_token_strs);
  const auto chat = parse_tokenize(R"({"messages":[{"role":"user","content":"a"}],"add_generation_prompt":false})");
  ASSERT_TRUE(chat.has_value()) << chat.error().what;
  ASSERT_TRUE(chat->chat.has_value());
  EXPECT_FALSE(chat->chat->add_generation_prompt);
  EXPECT_FALSE(parse_tokenize(R"({"model":"m"})").has_value());
  EXPECT_FALSE(parse_tokenize(R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})").has_value());
}

TEST(DetokenizeRequest, NeedsTokenIds) {
  const auto request = parse_detokenize(R"({"tokens":[5,6]})");
  ASSERT_TRUE(request.has_value());
  EXPECT_THAT(request->tokens, ElementsAre(5, 6));
  EXPECT_TRUE(parse_detokenize(R"({"tokens":[]})").has_value());
  for (const char* body : {R"({})", R"({"tokens":"a"})", R"({"tokens":[-1]})", R"({"tokens":["a"]})"}) {
    EXPECT_FALSE(parse_detokenize(body).has_value()) << body;
  }
}

}  // namespace
}  // namespace llmd::openai
