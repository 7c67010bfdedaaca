#include "engine/llama/text_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.h"

namespace llmd::engine {
namespace {

std::string text_of(const std::vector<TextStream::Piece>& pieces) {
  std::string text;
  for (const TextStream::Piece& piece : pieces) text += piece.text;
  return text;
}

TEST(TextStream, HoldsACharacterUntilItIsWhole) {
  TextStream stream{{}};
  EXPECT_EQ(text_of(stream.add("a\xf0\x9f").pieces), "a");
  EXPECT_EQ(text_of(stream.add("\x98").pieces), "");
  EXPECT_EQ(text_of(stream.add("\x80!").pieces), "\xf0\x9f\x98\x80!");
}

TEST(TextStream, ReplacesWhatIsNotUtf8) {
  TextStream stream{{}};
  EXPECT_EQ(text_of(stream.add("\xff x \xc0\xaf").pieces), "\xef\xbf\xbd x \xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(text_of(stream.add("\xe2\x82").pieces), "");
  EXPECT_EQ(text_of(stream.finish()), "\xef\xbf\xbd");
}

TEST(TextStream, EndsBeforeTheStopStringThatComesFirst) {
  TextStream stream{{"END", "\n\n"}};
  EXPECT_EQ(text_of(stream.add("one E").pieces), "one ");
  EXPECT_EQ(text_of(stream.add("N").pieces), "");
  const auto shown = stream.add("D two\n\n");
  EXPECT_TRUE(shown.pieces.empty());
  EXPECT_EQ(shown.stop, 0U);
}

TEST(TextStream, ShowsWhatTurnsOutNotToBeAStopString) {
  TextStream stream{{"abcabd"}};
  EXPECT_EQ(text_of(stream.add("abcab").pieces), "");
  EXPECT_EQ(text_of(stream.add("c").pieces), "abc");
  EXPECT_EQ(text_of(stream.finish()), "abc");
}

TEST(TextStream, ShowsWhatWasHeldBackTokenByToken) {
  TextStream stream{{"END of"}};
  EXPECT_EQ(text_of(stream.add("an E").pieces), "an ");
  EXPECT_TRUE(stream.add("N").pieces.empty());
  EXPECT_TRUE(stream.add("D").pieces.empty());
  const auto held_back = stream.add(" \xf0\x9f").pieces;
  ASSERT_EQ(held_back.size(), 4U);
  EXPECT_EQ(held_back[0].text, "E");
  EXPECT_EQ(held_back[1].text, "N");
  EXPECT_EQ(held_back[2].text, "D");
  EXPECT_EQ(held_back[3].text, " ");
  const auto completed = stream.add("\x98\x80!").pieces;
  ASSERT_EQ(completed.size(), 1U);
  EXPECT_EQ(completed[0].text, "\xf0\x9f\x98\x80!") << "a character belongs to the token that completes it";
}

/// Oracle: the whole text at once, up to the stop string that is complete first.
std::string shown_by_oracle(const std::string& bytes, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= bytes.size(); ++end) {
    std::size_t shown = std::string::npos;
    for (const std::string& stop : stops) {
      if (bytes.substr(0, end).ends_with(stop)) shown = std::min(shown, end - stop.size());
    }
    if (shown != std::string::npos) return valid_utf8(bytes.substr(0, shown));
  }
  return valid_utf8(bytes);
}

TEST(TextStream, NeverShowsAnyPartOfAStopStringHoweverTheTextIsCut) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng{seed};
    const std::vector<std::string> alphabet{"a", "b", "\xc3\xa9", "\xe2\x82\xac", "\xff"};
    const auto word = [&](std::uint64_t length) {
      std::string text;
      for (std::uint64_t i = 0; i < length; ++i) text += alphabet[rng.below(4)];
      return text;
    };
    std::vector<std::string> stops;
    for (std::uint64_t i = rng.below(3) + 1; i > 0; --i) stops.push_back(word(1 + rng.below(4)));
    std::string bytes = word(40);
    if (rng.chance(0.3)) bytes[rng.below(bytes.size())] = '\xff';
    TextStream stream{stops};
    std::string shown;
    bool stopped = false;
    for (std::size_t at = 0; at < bytes.size() && !stopped;) {
      const std::size_t piece = 1 + rng.below(3);
      const auto step = stream.add(std::string_view{bytes}.substr(at, piece));
      for (const TextStream::Piece& one : step.pieces) {
        ASSERT_LE(one.bytes, 3U + 3U) << "one token's, and the beginning of a character that it completes";
        ASSERT_FALSE(one.text.empty());
        shown += one.text;
      }
      stopped = step.stop.has_value();
      at += piece;
      ASSERT_TRUE(shown_by_oracle(bytes, stops).starts_with(shown));
    }
    if (!stopped) shown += text_of(stream.finish());
    ASSERT_EQ(shown, shown_by_oracle(bytes, stops));
  }
}

}  // namespace
}  // namespace llmd::engine
