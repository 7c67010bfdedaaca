#include "tokenizer/prepare.h"

#include <gtest/gtest.h>

#include <string>

#include "llamacpp/test_model.h"

namespace llmd {
namespace {

const PromptContext& context() {
  static const PromptContext made = make_prompt_context(*Tokenizer::from_model(llamacpp::test_model()), 2'048);
  return made;
}

openai::ChatPrompt prompt_of(const std::string& text) {
  return {.messages_json = R"([{"role":"user","content":")" + text + R"("}])"};
}

TEST(PrepareChat, RendersTheTemplateAroundTheMessages) {
  const auto prepared = prepare_chat(context(), prompt_of("hi"), {});
  ASSERT_TRUE(prepared.has_value()) << prepared.error().what;
  EXPECT_NE(prepared->rendered.prompt.find("hi"), std::string::npos);
  EXPECT_NE(prepared->rendered.prompt.find("assistant"), std::string::npos);
  EXPECT_EQ(context().tokenizer->decode(prepared->tokens, true), prepared->rendered.prompt);
}

TEST(PrepareChat, EndsThePromptWithTheTextThatIsToBeContinued) {
  openai::ChatPrompt prompt = prompt_of("q");
  prompt.continued_text = "The answer";
  const auto prepared = prepare_chat(context(), prompt, {});
  ASSERT_TRUE(prepared.has_value());
  EXPECT_TRUE(prepared->rendered.prompt.ends_with("The answer"));
}

TEST(PrepareChat, RefusesHopelesslyLongTextBeforeTokenisingIt) {
  const auto prepared = prepare_chat(context(), prompt_of(std::string(15U << 20U, 'a')), {});
  ASSERT_FALSE(prepared.has_value());
  EXPECT_EQ(prepared.error().code, ErrorCode::kContextLengthExceeded);
}

TEST(PreparePrompts, CheckTokenIdsAgainstTheVocabulary) {
  const TokenId beyond = context().tokenizer->size();
  const auto good = prepare_prompts(context(), {std::vector<TokenId>{1, 2}, std::string{"a"}}, {}, "prompt");
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->tokens[0], (std::vector<TokenId>{1, 2}));
  const auto bad = prepare_prompts(context(), {std::string{"a"}, std::vector<TokenId>{1, beyond}}, {}, "prompt");
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(bad.error().param, "prompt[1]");
}

TEST(PreparePrompts, RefuseASuffixWhereTheModelCannotInfill) {
  ASSERT_FALSE(context().tokenizer->has_infill());
  const auto refused = prepare_prompts(context(), {std::string{"a"}}, "b", "prompt");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().param, "suffix");
}

TEST(PrepareGrammar, CompilesASchemaAndRefusesWhatIsNone) {
  EXPECT_EQ(prepare_grammar({}).value_or("x"), "");
  EXPECT_NE(prepare_grammar({.json_schema = R"({"type":"boolean"})"}).value_or(""), "");
  const auto bad = prepare_grammar({.grammar = "root ::= ("});
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidGrammar);
}

TEST(PrepareChat, TakesKnownTokensForTheVeryTextOnly) {
  const auto own = prepare_chat(context(), prompt_of("hi"), {});
  ASSERT_TRUE(own);
  EXPECT_FALSE(own->tokens_were_known);
  const std::vector<TokenId> marked{5, 6, 7};  // not the text's own, so that taking them shows
  const openai::PromptTokens known{.text_hash = own->text_hash, .tokens = marked};
  const openai::PromptTokens foreign{.text_hash = own->text_hash, .tokens = {context().tokenizer->size()}};
  const openai::PromptTokens none{.text_hash = own->text_hash, .tokens = {}};
  const struct {
    const char* name;
    const char* text;
    openai::PromptTokens known;
    bool taken;
  } cases[] = {{"the very text", "hi", known, true},
               {"another text", "ho", known, false},
               {"an id outside the vocabulary", "hi", foreign, false},
               {"no tokens", "hi", none, false}};
  for (const auto& item : cases) {
    const auto prepared = prepare_chat(context(), prompt_of(item.text), {}, {.known = {&item.known, 1}});
    ASSERT_TRUE(prepared) << item.name;
    EXPECT_EQ(prepared->tokens_were_known, item.taken) << item.name;
    EXPECT_EQ(prepared->tokens == marked, item.taken) << item.name;
  }
}

TEST(PrepareChat, WithoutGrammarGivesThePromptOfTheWholeRequest) {
  openai::ChatPrompt prompt = prompt_of("What is the weather in Oslo?");
  prompt.tools_json = R"([{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}])";
  for (const auto choice : {openai::ToolChoice::kAuto, openai::ToolChoice::kRequired, openai::ToolChoice::kNone}) {
    prompt.tool_choice = choice;
    const auto whole = prepare_chat(context(), prompt, {});
    const auto bare = prepare_chat(context(), prompt, {}, {.prompt_only = true});
    ASSERT_TRUE(whole && bare);
    EXPECT_EQ(whole->text_hash, bare->text_hash);
    EXPECT_EQ(whole->tokens, bare->tokens);
    EXPECT_TRUE(bare->rendered.grammar.gbnf.empty());
  }
  const openai::OutputConstraint schema{.json_schema = R"({"type":"boolean"})"};
  EXPECT_EQ(prepare_chat(context(), prompt_of("x"), schema)->tokens,
            prepare_chat(context(), prompt_of("x"), schema, {.prompt_only = true})->tokens);
}

TEST(PreparePrompts, TakeKnownTokensPromptByPrompt) {
  const std::vector<openai::TokenPrompt> prompts{std::string{"one"}, std::string{"two"}, std::vector<TokenId>{9}};
  const openai::PromptTokens known[] = {{.text_hash = 1, .tokens = {5}},
                                        {.text_hash = text_hash(context(), "two", {}), .tokens = {6}}};
  const auto prepared = prepare_prompts(context(), prompts, {}, "prompt", {.known = known});
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared->known, 1U);
  EXPECT_EQ(prepared->tokens[0], context().tokenizer->encode("one", {.add_special = true, .parse_special = true}));
  EXPECT_EQ(prepared->tokens[1], (std::vector<TokenId>{6}));
  EXPECT_EQ(prepared->tokens[2], (std::vector<TokenId>{9}));
  EXPECT_NE(text_hash(context(), "ab", "c"), text_hash(context(), "a", "bc"));
}

}  // namespace
}  // namespace llmd
