#include "llamacpp/grammar_prefixes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::llamacpp {
namespace {

/// A grammar of llama.cpp's without a vocabulary, which reads characters.
class Reader {
 public:
  explicit Reader(const std::string& gbnf, bool share) {
    llama_grammar_parser parser{nullptr};
    EXPECT_TRUE(parser.parse(gbnf.c_str())) << gbnf;
    if (share) share_prefixes(parser.rules);
    rules_ = parser.rules;
    std::vector<const llama_grammar_element*> rules = parser.c_rules();
    grammar_.reset(llama_grammar_init_impl(nullptr, rules.data(), rules.size(), parser.symbol_ids.at("root")));
    EXPECT_NE(grammar_, nullptr);
  }

  /// Whether the text is one whole output. `widest`: the most parses that were alive on the way.
  bool takes(const std::string& text, std::size_t* widest = nullptr) {
    const std::unique_ptr<llama_grammar, Free> grammar{llama_grammar_clone_impl(*grammar_)};
    const llama_grammar_stacks& stacks = llama_grammar_get_stacks(grammar.get());
    for (const char character : text) {
      if (widest != nullptr) *widest = std::max(*widest, stacks.size());
      llama_grammar_accept(grammar.get(), static_cast<unsigned char>(character));
      if (stacks.empty()) return false;
    }
    return std::ranges::any_of(stacks, [](const llama_grammar_stack& stack) { return stack.empty(); });
  }

  [[nodiscard]] const llama_grammar_rules& rules() const { return rules_; }

 private:
  struct Free {
    void operator()(llama_grammar* grammar) const { llama_grammar_free_impl(grammar); }
  };
  llama_grammar_rules rules_;
  std::unique_ptr<llama_grammar, Free> grammar_;
};

std::string random_word(Rng& rng) {
  std::string word;
  for (std::uint64_t length = rng.below(6); length > 0; --length) word += "abc"[rng.below(3)];
  return word;
}

TEST(SharePrefixes, KeepsALanguageOfWords) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    std::vector<std::string> words(1 + rng.below(40));
    for (std::string& word : words) word = random_word(rng);
    Reader reader{fmt::format("root ::= \"{}\"", fmt::join(words, "\" | \"")), /*share=*/true};
    const std::set<std::string> listed{words.begin(), words.end()};
    for (const std::string& word : words) EXPECT_TRUE(reader.takes(word)) << word;
    for (int i = 0; i < 40; ++i) {
      const std::string other = random_word(rng);
      EXPECT_EQ(reader.takes(other), listed.contains(other)) << other;
    }
  }
}

TEST(SharePrefixes, KeepsClassesReferencesAndRepetitions) {
  const std::string parts[] = {"[a-b]", "[ac]", "[^a]", "\"a\"", "\"bc\"", "x", "[a-b]*", "\"a\"?", "(x \"c\" | \"b\")",
                               "."};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    std::string gbnf = "x ::= \"ca\" | \"b\"\nroot ::= ";
    for (std::uint64_t i = 9 + rng.below(20); i > 0; --i) {
      for (std::uint64_t length = 1 + rng.below(3); length > 0; --length) {
        gbnf += parts[rng.below(std::size(parts))] + " ";
      }
      gbnf += i > 1 ? "| " : "\n";
    }
    Reader shared{gbnf, /*share=*/true};
    Reader plain{gbnf, /*share=*/false};
    for (int i = 0; i < 60; ++i) {
      const std::string word = random_word(rng);
      EXPECT_EQ(shared.takes(word), plain.takes(word)) << gbnf << word;
    }
  }
}

TEST(SharePrefixes, FollowsFewParsesOfManyNames) {
  std::string names;
  for (int i = 0; i < 3'000; ++i) names += fmt::format("{}\"customer-{}\"", i > 0 ? " | " : "", i * 7);
  Reader reader{"root ::= " + names, /*share=*/true};
  std::size_t widest = 0;
  EXPECT_TRUE(reader.takes("customer-20993", &widest));
  EXPECT_FALSE(reader.takes("customer-20994", &widest));
  EXPECT_LE(widest, 11U);
}

TEST(SharePrefixes, LeavesRulesWithFewAlternativesAlone) {
  const std::string gbnf = "root ::= \"aa\" | \"ab\" | \"ac\"";
  EXPECT_EQ(Reader(gbnf, true).rules().size(), Reader(gbnf, false).rules().size());
}

TEST(SharePrefixes, TakesNamesThatEachBeginWithTheOneBefore) {
  std::string names;
  std::string longest;
  for (int i = 0; i < 700; ++i) {
    longest += 'a';
    names += fmt::format("{}\"{}\"", i > 0 ? " | " : "", longest);
  }
  Reader reader{"root ::= " + names, /*share=*/true};
  EXPECT_TRUE(reader.takes(longest));
  EXPECT_FALSE(reader.takes(longest + 'a'));
}

}  // namespace
}  // namespace llmd::llamacpp
