#include "rpc/message_reader.h"

#include <gtest/gtest.h>

namespace llmd::rpc {
namespace {

std::string framed(std::string_view message) { return message_head(message.size()) + std::string{message}; }

TEST(MessageReader, PutsMessagesTogetherHoweverTheyAreCut) {
  const std::string bytes = framed("first") + framed("") + framed(std::string(1'000, 'x'));
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    MessageReader reader{1'000};
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      ASSERT_TRUE(reader.take(std::string_view{bytes}.substr(at, piece), messages));
    ASSERT_EQ(messages, (std::vector<std::string>{"first", "", std::string(1'000, 'x')})) << piece;
    EXPECT_EQ(reader.pending_bytes(), 0U);
  }
}

TEST(MessageReader, RefusesLongAndCompressedOnes) {
  std::vector<std::string> messages;
  MessageReader reader{10};
  EXPECT_EQ(reader.take(message_head(11), messages).error().code, ErrorCode::kBodyTooLarge);
  MessageReader other{10};
  EXPECT_EQ(other.take(std::string_view{"\1\0\0\0\0", 5}, messages).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(messages.empty());
}

TEST(MessageReader, KeepsNoMoreThanWhatCame) {
  MessageReader reader{100'000'000};
  std::vector<std::string> messages;
  ASSERT_TRUE(reader.take(message_head(100'000'000) + "abc", messages));
  EXPECT_EQ(reader.pending_bytes(), 5U + 3U);
}

}  // namespace
}  // namespace llmd::rpc
