#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include "llamacpp/test_model.h"

namespace llmd {
namespace {

TEST(Tokenizer, GivesTheSameTokensFromTheVocabularyAloneAsFromTheWholeModel) {
  const auto alone = Tokenizer::load({.model_path = llamacpp::test_model_path()});
  const auto whole = Tokenizer::from_model(llamacpp::test_model());
  ASSERT_TRUE(alone) << alone.error().to_string();
  ASSERT_TRUE(whole) << whole.error().to_string();
  const llamacpp::ChatRequest chat{.messages_json = R"([{"role":"user","content":"Hello <|im_end|> there"}])"};
  const auto rendered = (*alone)->render(chat);
  ASSERT_TRUE(rendered) << rendered.error().to_string();
  EXPECT_EQ((*alone)->encode(*rendered), (*whole)->encode(*rendered));
  EXPECT_EQ((*alone)->encode("one two", {}), (*whole)->encode("one two", {}));
  EXPECT_EQ((*alone)->decode((*whole)->encode("one two", {}), false), "one two");
}

TEST(Tokenizer, PassesOnWhyAModelDoesNotLoad) {
  const auto missing = Tokenizer::load({.model_path = "missing.gguf"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kFileNotFound);
}

}  // namespace
}  // namespace llmd
