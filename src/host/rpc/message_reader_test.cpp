#include "rpc/message_reader.h"

#include <gtest/gtest.h>

#include "rpc/testing/gzip.h"

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

TEST(MessageReader, RefusesLongOnesAndMarksThatWereNotAnnounced) {
  std::vector<std::string> messages;
  MessageReader reader{10};
  EXPECT_EQ(reader.take(message_head(11), messages).error().code, ErrorCode::kBodyTooLarge);
  MessageReader other{10};
  EXPECT_EQ(other.take(std::string_view{"\1\0\0\0\0", 5}, messages).error().code, ErrorCode::kProtocol);
  MessageReader third{10, Encoding::kGzip};
  EXPECT_EQ(third.take(std::string_view{"\2\0\0\0\0", 5}, messages).error().code, ErrorCode::kProtocol);
  EXPECT_TRUE(messages.empty());
}

std::string compressed(std::string_view message) {
  std::string framed = message_head(message.size()) + std::string{message};
  framed[0] = 1;
  return framed;
}

TEST(MessageReader, InflatesWhatIsMarkedSo) {
  const std::string text(100'000, 'x');
  const std::string bytes = framed("plain") + compressed(testkit::gzip(text)) + compressed(testkit::gzip(""));
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    MessageReader reader{100'000, Encoding::kGzip};
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      ASSERT_TRUE(reader.take(std::string_view{bytes}.substr(at, piece), messages));
    EXPECT_EQ(messages, (std::vector<std::string>{"plain", text, ""})) << piece;
    EXPECT_EQ(reader.pending_bytes(), 0U);
  }
}

TEST(MessageReader, RefusesCompressedOnesThatAreDamagedOrTooLong) {
  const std::string good = testkit::gzip("some text that is long enough to be cut");
  std::string damaged = good;
  damaged[damaged.size() - 6] ^= 1;  // its checksum
  struct Case {
    std::string name;
    std::string bytes;
    ErrorCode code;
  };
  const std::vector<Case> cases{
      {"empty", "", ErrorCode::kProtocol},
      {"no gzip", "some text", ErrorCode::kProtocol},
      {"cut", good.substr(0, good.size() - 1), ErrorCode::kProtocol},
      {"damaged", damaged, ErrorCode::kProtocol},
      {"more after it", good + "x", ErrorCode::kProtocol},
      {"one byte too long", testkit::gzip(std::string(100'001, 'x')), ErrorCode::kBodyTooLarge},
      {"a bomb", testkit::gzip(std::string(50'000'000, 'x')), ErrorCode::kBodyTooLarge},
  };
  for (const Case& c : cases) {
    MessageReader reader{100'000, Encoding::kGzip};
    std::vector<std::string> messages;
    const auto taken = reader.take(compressed(c.bytes), messages);
    ASSERT_FALSE(taken) << c.name;
    EXPECT_EQ(taken.error().code, c.code) << c.name;
    EXPECT_TRUE(messages.empty()) << c.name;
  }
  MessageReader reader{100'000, Encoding::kGzip};
  std::vector<std::string> messages;
  EXPECT_TRUE(reader.take(compressed(good), messages)) << "the state of a thread is none of the message before";
}

TEST(MessageReader, KeepsNoMoreThanWhatCame) {
  MessageReader reader{100'000'000};
  std::vector<std::string> messages;
  ASSERT_TRUE(reader.take(message_head(100'000'000) + "abc", messages));
  EXPECT_EQ(reader.pending_bytes(), 5U + 3U);
}

}  // namespace
}  // namespace llmd::rpc
