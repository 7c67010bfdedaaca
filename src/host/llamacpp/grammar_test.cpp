#include "llamacpp/grammar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "llamacpp/chat_template.h"
#include "llamacpp/test_model.h"
#include "llamacpp/vocab.h"

namespace llmd::llamacpp {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(CheckGbnf, RefusesWhatDoesNotCompileOrWouldExplode) {
  std::string doubling = "root ::= a0\n";
  for (int i = 0; i < 40; ++i) {
    doubling += fmt::format("a{} ::= a{} a{} | \"\"\n", i, i + 1, i + 1);
  }
  doubling += "a40 ::= \"x\" | \"\"\n";
  const struct {
    const char* name;
    std::string gbnf;
  } kCases[] = {
      {"no root", "start ::= \"a\""},
      {"undefined rule", "root ::= missing"},
      {"syntax", "root ::= (\"a\""},
      {"left recursion", "root ::= root \"a\" | \"b\""},
      {"deep parentheses", fmt::format("root ::= {}\"a\"{}", repeat("(", 100'000), repeat(")", 100'000))},
      {"repetition of a long literal",
       fmt::format("root ::= {}", repeat(fmt::format("\"{}\"{{2000}} ", repeat("a", 1'000)), 100))},
      {"exponential paths", doubling},
      {"too long", fmt::format("root ::= \"{}\"", repeat("a", 1 << 20))},
      {"empty", ""},
      {"at least 6, at most 4", "root ::= [a-z]{6,4}"},
      {"the same over lines", "root ::= ([a-z]{6 ,\n4})"},
      {"braces with a comment", "root ::= ([a-z]{6 # }\n,4})"},
      {"a comment that ends early", "root ::= \"a\" #\r | [a-z]{6,4}"},
      {"a range that ends before it begins", "root ::= [a5-3]"},
      {"left recursion behind an empty rule", "root ::= a root \"b\" | \"c\"\na ::= \"\""},
      {"a repetition of a repetition", "root ::= \"a\"+ ?"},
      {"a repetition many times", fmt::format("root ::= \"{}\"{}", repeat("a", 1'000), repeat("+", 1'000))},
      {"a broken character that hides a quote", "root ::= \"\xff\" | \"|[a-z]{6,4}\""},
      {"braces without an end", "root ::= \"a\"{1,2"},
      {"token reference out of range", "root ::= <[99999999999999999999]>"},
  };
  for (const auto& test : kCases) {
    const auto checked = check_gbnf(test.gbnf);
    ASSERT_FALSE(checked) << test.name;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidGrammar) << test.name;
  }
  EXPECT_TRUE(check_gbnf("root ::= \"yes\" | \"no\""));
  EXPECT_TRUE(check_gbnf("# two ends\rroot ::= (\"a\"+ \"b\"{2, 3})* # \r\n"));
}

TEST(SchemaToGbnf, RefusesHostileSchemas) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += fmt::format("\"p{}\":{{}},", i);
  const struct {
    const char* name;
    std::string schema;
  } kCases[] = {
      {"not JSON", "{"},
      {"deep", fmt::format("{}{{}}{}", repeat("{\"items\":", 10'000), repeat("}", 10'000))},
      {"unknown type", R"({"type":"colour"})"},
      {"broken reference", R"({"$ref":"#/definitions/none"})"},
      {"a reference to itself", R"({"allOf":[{"$ref":"#/allOf/0"}]})"},
      {"references in a circle", R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"$ref":"#/$defs/a"}}})"},
      {"a choice that is itself",
       R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/a"}]}}})"},
      {"a long name", fmt::format("{{\"type\":\"object\",\"properties\":{{\"{}\":{{}}}}}}", repeat("_", 30'000))},
      {"a long reference", fmt::format("{{\"$ref\":\"#/{}\"}}", repeat("a", 60'000))},
      {"many types", fmt::format("{{\"type\":[{}\"null\"]}}", repeat("\"object\",", 7))},
      {"types that multiply",
       fmt::format("{}{{}}{}", repeat(R"({"type":["object","null"],"properties":{"a":)", 20), repeat("}}", 20))},
      {"many optional properties", fmt::format("{{\"type\":\"object\",\"properties\":{{{}\"last\":{{}}}}}}", many)},
      {"at least 6 items, at most 4", R"({"type":"array","items":{"type":"null"},"minItems":6,"maxItems":4})"},
      {"at least 6 characters, at most 4", R"({"type":"string","minLength":6,"maxLength":4})"},
      {"too long", fmt::format("{{\"description\":\"{}\"}}", repeat("a", 1 << 18))},
  };
  for (const auto& test : kCases) {
    const auto gbnf = schema_to_gbnf(test.schema);
    ASSERT_FALSE(gbnf) << test.name;
    EXPECT_EQ(gbnf.error().code, ErrorCode::kInvalidGrammar) << test.name;
  }
}

TEST(SchemaToGbnf, TakesSchemasThatReferToThemselvesThroughAMember) {
  const auto tree = schema_to_gbnf(R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{
      "left":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/t"}]}},"required":["left"]}}})");
  EXPECT_TRUE(tree) << tree.error().to_string();
}

/// Feeds a text token by token; false as soon as one is not allowed.
bool accepts(Grammar& grammar, const Vocab& vocab, const std::string& text) {
  for (const TokenId token : vocab.encode(text, {.add_special = false})) {
    if (!grammar.allows(token)) return false;
    if (!grammar.accept(token)) return false;
  }
  return true;
}

TEST(Grammar, AllowsOnlyWhatTheSchemaAllows) {
  const Vocab vocab{test_model()};
  auto gbnf = schema_to_gbnf(R"({"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]})");
  ASSERT_TRUE(gbnf) << gbnf.error().to_string();
  const auto check = [&](const std::string& text) {
    auto grammar = Grammar::make(test_model(), {.gbnf = *gbnf});
    EXPECT_TRUE(grammar);
    return accepts(**grammar, vocab, text);
  };
  EXPECT_TRUE(check(R"({"age": 42})"));
  EXPECT_FALSE(check(R"({"age": "old"})"));
  EXPECT_FALSE(check("Sure!"));
}

TEST(Grammar, FollowsOneOfThousandsOfNames) {
  const Vocab vocab{test_model()};
  std::string gbnf = "root ::= ";
  for (int i = 0; i < 2'500; ++i) gbnf += fmt::format("{}\"customer {}\"", i > 0 ? " | " : "", i * 7);
  for (const auto& [text, listed] : {std::pair{"customer 17493", true}, std::pair{"customer 17494", false}}) {
    auto grammar = Grammar::make(test_model(), {.gbnf = gbnf});
    ASSERT_TRUE(grammar) << grammar.error().to_string();
    EXPECT_EQ(accepts(**grammar, vocab, text), listed) << text;
  }
}

TEST(Grammar, WaitsForItsTriggerWord) {
  const Vocab vocab{test_model()};
  auto grammar =
      Grammar::make(test_model(), {.gbnf = "root ::= \"<go>\" [0-9]+", .lazy = true, .trigger_words = {"<go>"}});
  ASSERT_TRUE(grammar) << grammar.error().to_string();
  EXPECT_TRUE(accepts(**grammar, vocab, "any text at all <go>7"));
  EXPECT_FALSE(accepts(**grammar, vocab, "seven"));
}

TEST(Grammar, EndsAnAmbiguousParseInsteadOfGrowingWithoutBound) {
  const Vocab vocab{test_model()};
  auto grammar = Grammar::make(test_model(), {.gbnf = "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\""});
  ASSERT_TRUE(grammar) << grammar.error().to_string();
  const TokenId a = vocab.encode("a", {.add_special = false}).front();
  Result<void> last;
  for (int i = 0; i < 64 && last; ++i) last = (*grammar)->accept(a);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::kInvalidGrammar);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LLMD_SANITIZED
#endif
#endif

TEST(Grammar, EndsALookThatGoesDownTooManyWays) {
#ifdef LLMD_SANITIZED
  GTEST_SKIP() << "a second becomes half a minute";
#endif
  const Vocab vocab{test_model()};
  auto grammar = Grammar::make(test_model(), {.gbnf = "root ::= ([a-z]?){60} \"9\""});
  ASSERT_TRUE(grammar) << grammar.error().to_string();
  std::vector<Candidate> candidates;
  for (TokenId token = 0; token < vocab.size(); ++token) candidates.push_back({token, 1.0F});
  (*grammar)->mask(candidates);
  const auto accepted = (*grammar)->accept(vocab.encode("a", {.add_special = false}).front());
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().code, ErrorCode::kInvalidGrammar);
}

TEST(Grammar, MasksAllButTheAllowedTokens) {
  const Vocab vocab{test_model()};
  auto grammar = Grammar::make(test_model(), {.gbnf = "root ::= \"yes\""});
  ASSERT_TRUE(grammar);
  std::vector<Candidate> candidates;
  for (TokenId token = 0; token < vocab.size(); ++token) candidates.push_back({token, 1.0F});
  (*grammar)->mask(candidates);
  for (const Candidate& candidate : candidates) {
    const std::string piece = vocab.piece(candidate.token, true);
    const bool allowed = !piece.empty() && std::string{"yes"}.starts_with(piece);
    ASSERT_EQ(candidate.logit == 1.0F, allowed) << piece;
  }
}

}  // namespace
}  // namespace llmd::llamacpp
