#include "engine/llama/held_logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/llama/text_stream.h"

namespace llmd::engine {
namespace {

TokenLogprobs entry(TokenId token, const std::string& text) {
  return {.chosen = {.token = token, .text = text, .logprob = -0.5F},
          .top = {{.token = token, .text = text, .logprob = -0.5F}, {.token = 99, .text = "other", .logprob = -2.0F}}};
}

std::string texts_of(const std::vector<TokenLogprobs>& logprobs) {
  std::string text;
  for (const TokenLogprobs& one : logprobs) text += one.chosen.text;
  return text;
}

TEST(HeldLogprobs, TellsATokenOnceAllOfItIsShown) {
  HeldLogprobs held;
  held.add(entry(1, "ab"));
  EXPECT_TRUE(held.show(1).empty());
  held.add(entry(2, "c"));
  const auto shown = held.show(2);
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[0].chosen.token, 1);
  EXPECT_EQ(shown[0].top.size(), 2U);
  EXPECT_TRUE(held.show(100).empty());
}

TEST(HeldLogprobs, CutsTheTokenThatAStopStringBeginsInAndDropsTheRest) {
  HeldLogprobs held;
  held.add(entry(1, "a"));
  held.add(entry(2, "b END"));
  held.add(entry(3, "!"));
  const auto shown = held.cut(3);
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[1].chosen.text, "b ");
  ASSERT_EQ(shown[1].top.size(), 1U) << "alternatives compete with the whole token";
  EXPECT_EQ(shown[1].top[0].text, "b ");
  EXPECT_TRUE(held.show(100).empty());
}

TEST(HeldLogprobs, AStopStringBetweenTokensCutsNone) {
  HeldLogprobs held;
  held.add(entry(1, "a"));
  held.add(entry(2, "END"));
  const auto shown = held.cut(1);
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0].top.size(), 2U);
}

/// Whatever tokens, stop strings and cuts: what is told is never more than what is shown, and at the end just that.
TEST(HeldLogprobs, TellsTheShownTextAndNothingMoreHoweverTheTextIsCut) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    const std::vector<std::string> alphabet{"a", "b", "c", "\xc3\xa9", "\xf0\x9f\x98\x80"};
    const auto word = [&](std::uint64_t length) {
      std::string text;
      for (std::uint64_t i = 0; i < length; ++i) text += alphabet[rng.below(alphabet.size())];
      return text;
    };
    std::vector<std::string> stops;
    for (std::uint64_t i = rng.below(3); i > 0; --i) stops.push_back(word(1 + rng.below(4)));
    const std::string bytes = word(30);
    TextStream stream{stops};
    HeldLogprobs held;
    std::string text;
    std::string told;
    bool stopped = false;
    for (std::size_t at = 0; at < bytes.size() && !stopped;) {
      const std::string piece = bytes.substr(at, 1 + rng.below(5));
      at += piece.size();
      held.add(entry(1, piece));
      const TextStream::Shown shown = stream.add(piece);
      for (const TextStream::Piece& part : shown.pieces) {
        text += part.text;
        told += texts_of(held.show(part.bytes));
        ASSERT_TRUE(text.starts_with(told)) << "told \"" << told << "\", shown \"" << text << "\"";
      }
      stopped = shown.stop.has_value();
      if (stopped) told += texts_of(held.cut(0));
      ASSERT_TRUE(text.starts_with(told)) << "told \"" << told << "\", shown \"" << text << "\"";
    }
    if (!stopped) {
      for (const TextStream::Piece& part : stream.finish()) {
        text += part.text;
        told += texts_of(held.show(part.bytes));
      }
    }
    ASSERT_EQ(told, text);
  }
}

}  // namespace
}  // namespace llmd::engine
