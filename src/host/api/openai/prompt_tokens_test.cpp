#include "api/openai/prompt_tokens.h"

#include <gtest/gtest.h>

#include "api/openai/base64.h"
#include "base/rng.h"

namespace llmd::openai {
namespace {

TEST(PromptTokens, ComeBackAsTheyWereSent) {
  Rng rng{7};
  for (std::size_t count = 0; count < 20; ++count) {
    std::vector<PromptTokens> prompts(count);
    for (PromptTokens& prompt : prompts) {
      prompt.text_hash = rng.next();
      prompt.tokens.resize(rng.below(30));
      for (TokenId& token : prompt.tokens) token = static_cast<TokenId>(rng.below(50'000));
    }
    EXPECT_EQ(decode_prompt_tokens(encode_prompt_tokens(prompts)), prompts) << count;
  }
}

TEST(PromptTokens, AreNoneWhereTheFieldIsCutOrIsSomethingElse) {
  const std::string whole = encode_prompt_tokens(std::vector<PromptTokens>{{.text_hash = 1, .tokens = {2, 3}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(decode_prompt_tokens(whole.substr(0, size)).empty()) << size;
  }
  for (const char* other : {"", "=", "====", "AAA", "A===", "AA=A", "!!!!", "[1,2]", "AAAAAAAAAAD/////"}) {
    EXPECT_TRUE(decode_prompt_tokens(other).empty()) << other;
  }
}

TEST(Base64, IsThatOfTheStandard) {
  const struct {
    std::string_view text;
    std::string_view encoded;
  } cases[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
               {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
  for (const auto& item : cases) {
    EXPECT_EQ(encode_base64(std::as_bytes(std::span{item.text})), item.encoded);
    const auto decoded = decode_base64(item.encoded);
    ASSERT_TRUE(decoded) << item.encoded;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(decoded->data()), decoded->size()), item.text);
  }
}

}  // namespace
}  // namespace llmd::openai
