#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "llamacpp/chat_template.h"
#include "llamacpp/grammar.h"
#include "llamacpp/schema_pattern.h"
#include "llamacpp/test_model.h"
#include "llamacpp/vocab.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

/// The lines of the page's jsonl blocks.
std::vector<Json> claims_of_the_page() {
  std::ifstream page{LLMD_SOURCE_DIR "/docs/structured-output.md"};
  EXPECT_TRUE(page);
  std::vector<Json> claims;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = !inside && line == "```jsonl";
    } else if (inside) {
      claims.push_back(Json::parse(line));
    }
  }
  return claims;
}

/// The text is one whole answer: every token may come, and then the end.
bool takes(const std::string& gbnf, const std::string& text) {
  static const Vocab vocab{test_model()};
  static const TokenId end = [] {
    TokenId token = 0;
    while (!vocab.is_end_of_generation(token)) ++token;
    return token;
  }();
  auto grammar = Grammar::make(test_model(), {.gbnf = gbnf});
  EXPECT_TRUE(grammar) << grammar.error().to_string();
  for (const TokenId token : vocab.encode(text, {.add_special = false})) {
    if (!(*grammar)->allows(token) || !(*grammar)->accept(token)) return false;
  }
  return (*grammar)->allows(end);
}

TEST(StructuredOutput, IsWhatThePageSays) {
  const std::vector<Json> claims = claims_of_the_page();
  ASSERT_GT(claims.size(), 40U);
  for (const Json& claim : claims) {
    const std::string schema = claim.at("schema").dump();
    SCOPED_TRACE(schema);
    const auto gbnf = schema_to_gbnf(schema);
    if (claim.contains("error")) {
      ASSERT_FALSE(gbnf);
      EXPECT_EQ(gbnf.error().code, ErrorCode::kInvalidGrammar);
      EXPECT_NE(gbnf.error().what.find(claim.at("error").get<std::string>()), std::string::npos) << gbnf.error().what;
      continue;
    }
    ASSERT_TRUE(gbnf) << gbnf.error().to_string();
    ASSERT_FALSE(claim.at("takes").empty() || claim.at("refuses").empty()) << "a claim has both sides";
    for (const Json& text : claim.at("takes")) EXPECT_TRUE(takes(*gbnf, text.get<std::string>())) << text;
    for (const Json& text : claim.at("refuses")) EXPECT_FALSE(takes(*gbnf, text.get<std::string>())) << text;
  }
}

TEST(StructuredOutput, KeepsAHundredOptionalProperties) {
  Json schema{{"type", "object"}};
  for (int i = 0; i < 100; ++i) schema["properties"][fmt::format("p{}", i)] = {{"type", "null"}};
  const auto gbnf = schema_to_gbnf(schema.dump());
  ASSERT_TRUE(gbnf) << gbnf.error().to_string();
  EXPECT_TRUE(takes(*gbnf, R"({"p3":null, "p99":null})"));
  EXPECT_FALSE(takes(*gbnf, R"({"p99":null, "p3":null})"));
  EXPECT_FALSE(takes(*gbnf, R"({"p100":null})"));
}

TEST(SchemaPattern, TakesAnyTextWithoutReadingBeyondIt) {
  const std::vector<std::string> parts{"^", "$", "\\", "[", "]", "(", ")", "-", "{",  "}",  "2", ",",
                                       "x", "u", "d",  "é", ".", "*", "?", "|", "\"", "\n", "a", ":"};
  std::size_t written = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    std::uint64_t state = seed * 6'364'136'223'846'793'005ULL;
    std::string pattern = "^";
    for (std::uint64_t i = seed % 9; i > 0; --i) {
      state = state * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
      pattern += parts[(state >> 33U) % parts.size()];
    }
    const auto made = pattern_for_grammar(pattern + "$");
    if (!made) continue;
    ++written;
    EXPECT_TRUE(made->starts_with('^') && made->ends_with('$'));
    EXPECT_EQ(made->find('"'), std::string::npos) << "no quote comes from " << pattern;
  }
  EXPECT_GT(written, 2'000U);
}

}  // namespace
}  // namespace llmd::llamacpp
