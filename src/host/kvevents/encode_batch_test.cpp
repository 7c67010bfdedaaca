#include "kvevents/encode_batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kvevents/msgpack_writer.h"

namespace llmd::kvevents {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// Made with Python's msgpack from the very dictionaries, in this order of keys.
TEST(EncodeBatch, WritesTheMapsOfVllm) {
  const std::vector<KvEvent> events{
      BlocksStored{.blocks = {15760518052499183552U, 7}, .tokens = {1, 200, 40'000, 151'644}, .block_tokens = 2},
      BlockRemoved{.block = 7}, BlocksCleared{}};
  EXPECT_EQ(
      hex(encode_batch(0.5, events)),
      "93cb3fe000000000000093"
      "8ba474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657392cfdab89baa7b5857c007b1706172656e745f626c6f636b"
      "5f68617368c0a9746f6b656e5f6964739401ccc8cd9c40ce0002505caa626c6f636b5f73697a6502a76c6f72615f6964c0a66d656469"
      "756da3475055a96c6f72615f6e616d65c0aa65787472615f6b65797392c0c0a967726f75705f69647800b26b765f63616368655f73"
      "7065635f6b696e64ae66756c6c5f617474656e74696f6e"
      "84a474797065ac426c6f636b52656d6f766564ac626c6f636b5f6861736865739107a66d656469756da3475055a967726f75705f6964"
      "7800"
      "81a474797065b0416c6c426c6f636b73436c656172656400");
}

TEST(EncodeBatch, NamesTheParentAndTheSaltWithWhichAChainBegins) {
  BlocksStored event{.blocks = {1}, .tokens = {5}, .block_tokens = 1, .cache_salt = "pepper"};
  const std::string root = encode_batch(0, std::vector<KvEvent>{event});
  EXPECT_NE(root.find("\xaa"
                      "extra_keys\x91\x91\xa6pepper"),
            std::string::npos);
  event.parent = 300;
  const std::string later = encode_batch(0, std::vector<KvEvent>{event});
  EXPECT_EQ(later.find("pepper"), std::string::npos) << "the parent's name covers it";
  EXPECT_NE(later.find("\xb1parent_block_hash\xcd\x01\x2c"), std::string::npos);
}

TEST(EncodeBatch, ForeseesItsSize) {
  std::vector<KvEvent> events;
  for (std::uint64_t i = 0; i < 50; ++i) {
    events.emplace_back(BlocksStored{.blocks = std::vector<std::uint64_t>(i, UINT64_MAX),
                                     .tokens = std::vector<TokenId>(64 * i, INT32_MAX),
                                     .block_tokens = 64});
    events.emplace_back(BlockRemoved{.block = UINT64_MAX});
    EXPECT_LE(encode_batch(1, events).size(), approximate_bytes(events));
  }
}

TEST(MsgpackWriter, TakesTheShortestFormAtEveryEdge) {
  struct Case {
    std::uint64_t value;
    const char* bytes;
  };
  for (const Case& each : {Case{0, "00"}, Case{127, "7f"}, Case{128, "cc80"}, Case{255, "ccff"}, Case{256, "cd0100"},
                           Case{65'535, "cdffff"}, Case{65'536, "ce00010000"}, Case{UINT32_MAX, "ceffffffff"},
                           Case{1ULL << 32U, "cf0000000100000000"}, Case{UINT64_MAX, "cfffffffffffffffff"}}) {
    std::string out;
    MsgpackWriter{out}.uint(each.value);
    EXPECT_EQ(hex(out), each.bytes) << each.value;
  }
  const auto head = [](auto write) {
    std::string out;
    MsgpackWriter writer{out};
    write(writer);
    return hex(std::string_view{out}.substr(0, 5));
  };
  EXPECT_EQ(head([](auto& out) { out.array(15); }), "9f");
  EXPECT_EQ(head([](auto& out) { out.array(16); }), "dc0010");
  EXPECT_EQ(head([](auto& out) { out.array(65'536); }), "dd00010000");
  EXPECT_EQ(head([](auto& out) { out.map(16); }), "de0010");
  EXPECT_EQ(head([](auto& out) { out.text(std::string(31, 'a')); }), "bf61616161");
  EXPECT_EQ(head([](auto& out) { out.text(std::string(32, 'a')); }), "d920616161");
  EXPECT_EQ(head([](auto& out) { out.text(std::string(256, 'a')); }), "da01006161");
  EXPECT_EQ(head([](auto& out) { out.text(std::string(65'536, 'a')); }), "db00010000");
}

}  // namespace
}  // namespace llmd::kvevents
