#include "tokenizer/byte_tokenizer.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace llmd {
namespace {

TEST(ByteTokenizer, GivesBackWhatItTookWhateverTheBytes) {
  const auto tokenizer = make_byte_tokenizer();
  Rng rng{1};
  for (int round = 0; round < 2'000; ++round) {
    std::string text;
    const std::size_t bytes = rng.below(40);
    for (std::size_t i = 0; i < bytes; ++i)
      text += static_cast<char>(rng.below(4) == 0 ? rng.below(256) : rng.below(128));
    const std::vector<TokenId> tokens = tokenizer->encode(text, {});
    EXPECT_EQ(tokenizer->decode(tokens, true), text);
    for (const TokenId token : tokens) {
      EXPECT_TRUE(tokenizer->is_valid(token));
      EXPECT_LT(token, tokenizer->size());
    }
  }
}

TEST(ByteTokenizer, CountsFourBytesATokenAndBeginsANewOneAfterALine) {
  const auto tokenizer = make_byte_tokenizer();
  EXPECT_EQ(tokenizer->encode("abcdefgh", {}).size(), 2U);
  EXPECT_EQ(tokenizer->encode("a\nbcde", {}).size(), 2U);
  EXPECT_EQ(tokenizer->encode("日本", {}).size(), 2U);
}

TEST(ByteTokenizer, RefusesIdsThatNoTextHas) {
  const auto tokenizer = make_byte_tokenizer();
  for (const TokenId token : {-1, 0x7fffffff, 1 << 27, (1 << 30) | (3 << 24), (1 << 30) | 'a'}) {
    EXPECT_FALSE(tokenizer->is_valid(token)) << token;
    EXPECT_EQ(tokenizer->piece(token, true), "");
  }
}

TEST(ByteTokenizer, AChatThatGoesOnBeginsWithTheTokensOfTheAnswer) {
  const auto tokenizer = make_byte_tokenizer();
  const auto first = tokenizer->render({.messages_json = R"([{"role":"user","content":"hello"}])"});
  ASSERT_TRUE(first);
  std::vector<TokenId> tokens = tokenizer->encode(*first);
  for (const TokenId token : tokenizer->encode(" one two", {})) tokens.push_back(token);
  const auto later = tokenizer->render({.messages_json = R"([{"role":"user","content":"hello"},)"
                                                         R"({"role":"assistant","content":" one two"},)"
                                                         R"({"role":"user","content":"more"}])"});
  ASSERT_TRUE(later);
  const std::vector<TokenId> whole = tokenizer->encode(*later);
  ASSERT_GT(whole.size(), tokens.size());
  EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), whole.begin()));
}

TEST(ByteTokenizer, RefusesAFormThatItCannotKeep) {
  const auto rendered = make_byte_tokenizer()->render({.messages_json = "[]", .json_schema = "{}"});
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace llmd
