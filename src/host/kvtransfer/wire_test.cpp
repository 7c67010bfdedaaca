#include "kvtransfer/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/rng.h"

namespace llmd::kvtransfer {
namespace {

constexpr std::uint64_t kBlockBytes = 100;

BlockId name(std::uint8_t number) {
  BlockId id;
  id.bytes.fill(number);
  return id;
}

std::vector<std::byte> encoded(const std::vector<Message>& messages) {
  std::vector<std::byte> bytes;
  for (const Message& message : messages) encode(message, bytes);
  return bytes;
}

struct Parsed {
  std::vector<Message> messages;
  std::optional<Error> error;
};

/// Gives `bytes` in pieces of at most `piece`, and reads payloads into `target` if it has their size.
Parsed parse(WireSide side, std::span<const std::byte> bytes, std::size_t piece = 1'000'000,
             std::span<std::byte> target = {}) {
  WireParser parser{{.side = side, .block_bytes = kBlockBytes}};
  Parsed parsed;
  while (!bytes.empty()) {
    const auto space = parser.space();
    EXPECT_FALSE(space.empty());
    const std::size_t count = std::min({piece, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), count);
    bytes = bytes.subspan(count);
    auto result = parser.advance(count);
    if (!result) {
      parsed.error = result.error();
      EXPECT_EQ(parser.advance(0).error().what, result.error().what) << "the first error is final";
      return parsed;
    }
    if (!*result) continue;
    parsed.messages.push_back(**result);
    if (std::holds_alternative<BlockReply>(**result)) parser.payload_into(target);
  }
  return parsed;
}

const Hello kHello{
    .model_fingerprint = name(7).bytes, .block_tokens = 32, .block_bytes = kBlockBytes, .shared_memory = true};

TEST(Wire, CarriesEveryMessageOfThePullerInPiecesOfAnySize) {
  const std::vector<Message> sent{kHello, BlockRequest{LeaseId{0x1122334455667788}, {name(1), name(2)}},
                                  BlockRequest{LeaseId{1}, {}}, LeaseDone{LeaseId{9}}};
  for (const std::size_t piece : {1U, 2U, 7U, 24U, 1'000'000U}) {
    const auto parsed = parse(WireSide::kHolder, encoded(sent), piece);
    ASSERT_FALSE(parsed.error.has_value()) << parsed.error->to_string();
    EXPECT_EQ(parsed.messages, sent) << "pieces of " << piece;
  }
}

TEST(Wire, CarriesEveryMessageOfTheHolder) {
  const std::vector<Message> sent{kHello, SharedMemory{0, 1'000},
                                  BlockReply{.index = 3,
                                             .id = name(4),
                                             .bytes = kBlockBytes,
                                             .checksum = 5,
                                             .placement = Placement::kShared,
                                             .memory = 0,
                                             .offset = 900},
                                  RequestEnd{1}, WireError{WireErrorCode::kUnknownLease, "lease 9 is not known"}};
  const auto parsed = parse(WireSide::kPuller, encoded(sent), 5);
  ASSERT_FALSE(parsed.error.has_value()) << parsed.error->to_string();
  EXPECT_EQ(parsed.messages, sent);
}

TEST(Wire, ReadsAPayloadStraightIntoItsTargetAndVerifiesIt) {
  std::vector<std::byte> block(kBlockBytes);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = std::byte(i);
  auto bytes = encoded({kHello, BlockReply{.id = name(1), .bytes = kBlockBytes, .checksum = checksum64(block)}});
  bytes.insert(bytes.end(), block.begin(), block.end());
  encode(RequestEnd{1}, bytes);
  for (const std::size_t piece : {1U, 33U, 1'000U}) {
    std::vector<std::byte> target(kBlockBytes);
    const auto parsed = parse(WireSide::kPuller, bytes, piece, target);
    ASSERT_EQ(parsed.messages.size(), 4U);
    EXPECT_EQ(parsed.messages[2], Message{PayloadEnd{true}});
    EXPECT_EQ(parsed.messages[3], Message{RequestEnd{1}});
    EXPECT_EQ(target, block);
  }
  EXPECT_EQ(parse(WireSide::kPuller, bytes, 9).messages.at(2), Message{PayloadEnd{false}})
      << "skipped without a target";
  bytes[bytes.size() - 60] ^= std::byte{1};
  std::vector<std::byte> target(kBlockBytes);
  EXPECT_EQ(parse(WireSide::kPuller, bytes, 1'000, target).messages.at(2), Message{PayloadEnd{false}});
}

TEST(Wire, RefusesEveryFlippedBit) {
  const auto bytes = encoded({kHello, BlockRequest{LeaseId{3}, {name(1)}}});
  const std::size_t start = encoded({kHello}).size();
  for (std::size_t bit = start * 8; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte(1U << (bit % 8));
    const auto parsed = parse(WireSide::kHolder, flipped);
    EXPECT_TRUE(parsed.error.has_value()) << "bit " << bit;
    EXPECT_EQ(parsed.messages.size(), 1U);
  }
}

TEST(Wire, RefusesWhatHasNoPlaceInTheConversation) {
  const Message reply = BlockReply{.id = name(1), .bytes = kBlockBytes, .placement = Placement::kShared};
  const struct {
    std::string name;
    WireSide side;
    std::vector<Message> messages;
    std::string error;
  } cases[] = {
      {"request before hello", WireSide::kHolder, {BlockRequest{}}, "a message before hello"},
      {"two hellos", WireSide::kHolder, {kHello, kHello}, "a second hello"},
      {"a reply to the holder",
       WireSide::kHolder,
       {kHello, reply},
       "a message of type 3 and 65 bytes; that type has no place here"},
      {"a request to the puller",
       WireSide::kPuller,
       {kHello, BlockRequest{}},
       "a message of type 2 and 12 bytes; that type has no place here"},
      {"no shared memory", WireSide::kPuller, {kHello, reply}, "a block at offset 0 of 0 bytes of shared memory"},
      {"beyond shared memory",
       WireSide::kPuller,
       {kHello, SharedMemory{0, 150}, BlockReply{.bytes = kBlockBytes, .placement = Placement::kShared, .offset = 51}},
       "a block at offset 51 of 150 bytes of shared memory"},
      {"offset that wraps",
       WireSide::kPuller,
       {kHello, SharedMemory{0, 150},
        BlockReply{.bytes = kBlockBytes, .placement = Placement::kShared, .offset = ~0ULL}},
       "a block at offset 18446744073709551615 of 150 bytes of shared memory"},
      {"a memory that was not announced",
       WireSide::kPuller,
       {kHello, SharedMemory{0, 150}, BlockReply{.bytes = kBlockBytes, .placement = Placement::kShared, .memory = 1}},
       "a block at offset 0 of 0 bytes of shared memory"},
      {"memories out of order",
       WireSide::kPuller,
       {kHello, SharedMemory{1, 150}},
       "shared memory number 1; expected 0, and at most 4096 of them"},
      {"wrong block size", WireSide::kPuller, {kHello, BlockReply{.bytes = 99}}, "a block of 99 bytes; expected 100"},
  };
  for (const auto& row : cases) {
    const auto parsed = parse(row.side, encoded(row.messages));
    ASSERT_TRUE(parsed.error.has_value()) << row.name;
    EXPECT_EQ(parsed.error->code, ErrorCode::kProtocol) << row.name;
    EXPECT_EQ(parsed.error->what, row.error) << row.name;
  }
}

/// A message whose checks are right though its content is not.
std::vector<std::byte> forged(std::uint16_t version, std::uint16_t type, std::span<const std::byte> body,
                              std::uint32_t announced) {
  std::vector<std::byte> out(kWireHeaderBytes);
  const auto put = [&](std::size_t at, auto value) { std::memcpy(out.data() + at, &value, sizeof value); };
  std::memcpy(out.data(), "LKVT", 4);
  put(4, version);
  put(6, type);
  put(8, announced);
  put(16, checksum64(body));
  std::vector<std::byte> covered{out.begin(), out.begin() + 12};
  covered.insert(covered.end(), out.begin() + 16, out.end());
  put(12, static_cast<std::uint32_t>(xxh64(std::span<const std::byte>{covered})));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

TEST(Wire, RefusesForgedLengthsBeforeItTakesMemory) {
  const auto error_of = [](const std::vector<std::byte>& bytes) {
    return parse(WireSide::kHolder, bytes).error.value().what;
  };
  EXPECT_EQ(error_of(forged(1, 2, {}, 0xffff'ffff)),
            "a message of type 2 and 4294967295 bytes; that type has at most 524300 here");
  EXPECT_EQ(error_of(forged(1, 99, {}, 0)), "a message of type 99 and 0 bytes; that type has no place here");
  std::vector<std::byte> request(12);
  request[8] = std::byte{200};
  EXPECT_EQ(error_of(forged(1, 2, request, 12)), "a request announces 200 ids and holds 0 bytes of them");
  EXPECT_EQ(error_of(forged(1, 1, {}, 0)), "a message of type 1 has a body of 0 bytes, too few or too many");
  std::vector<std::byte> hello(45);
  hello[44] = std::byte{2};
  EXPECT_EQ(error_of(forged(1, 1, hello, 45)), "a hello has shared_memory 2; expected 0 or 1");
}

TEST(Wire, NamesBothVersionsIfTheyDiffer) {
  const auto parsed = parse(WireSide::kHolder, forged(2, 1, {}, 0));
  EXPECT_EQ(parsed.error->to_string(),
            "block_mismatch: the peer speaks version 2 of the block protocol, this worker 1 (run the same llmd on both "
            "sides)");
}

TEST(Wire, ComparesHellosByFingerprintAndGeometry) {
  EXPECT_TRUE(check_hello(kHello, kHello).has_value());
  Hello other = kHello;
  other.shared_memory = false;
  EXPECT_TRUE(check_hello(kHello, other).has_value());
  other.model_fingerprint = name(9).bytes;
  EXPECT_EQ(check_hello(kHello, other).error().what,
            "the peer's model fingerprint begins with 09090909, this worker's with 07070707");
  other = kHello;
  other.block_tokens = 16;
  EXPECT_EQ(check_hello(kHello, other).error().what,
            "the peer's blocks are 16 tokens in 100 bytes, this worker's 32 in 100");
}

TEST(Wire, AcceptsOnlyTheReplyThatIsNext) {
  const std::vector<BlockId> ids{name(1), name(2)};
  EXPECT_TRUE(check_reply({.index = 1, .id = name(2)}, ids, 1).has_value());
  EXPECT_EQ(check_reply({.index = 1, .id = name(2)}, ids, 0).error().code, ErrorCode::kBlockMismatch);
  EXPECT_EQ(check_reply({.index = 1, .id = name(3)}, ids, 1).error().code, ErrorCode::kBlockMismatch);
  EXPECT_EQ(check_reply({.index = 2, .id = name(2)}, ids, 2).error().code, ErrorCode::kBlockMismatch);
}

TEST(Wire, KeepsAPeersTextOnOnePrintableLine) {
  WireError sent{.code = WireErrorCode::kOverloaded, .text = "a\nb\x1b"};
  sent.text.append(500, 'x');
  const auto parsed = parse(WireSide::kPuller, encoded({sent}));
  const auto& error = std::get<WireError>(parsed.messages.at(0));
  EXPECT_EQ(error.text.substr(0, 5), "a?b?x");
  EXPECT_EQ(error.text.size(), kWireTextMax);
  EXPECT_EQ(to_error(error).code, ErrorCode::kOverloaded);
  EXPECT_EQ(to_error({WireErrorCode::kLeaseExpired, ""}).code, ErrorCode::kLeaseExpired);
  EXPECT_EQ(to_error({WireErrorCode::kWrongFingerprint, ""}).code, ErrorCode::kBlockMismatch);
  EXPECT_EQ(to_error({WireErrorCode::kBadMessage, ""}).code, ErrorCode::kProtocol);
}

TEST(Wire, SurvivesAnyBytes) {
  const auto hello = encoded({kHello});
  std::size_t errors = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng{seed};
    std::vector<std::byte> bytes = hello;
    const auto kind = static_cast<std::uint16_t>(rng.below(9));
    std::vector<std::byte> body(rng.below(80));
    for (auto& byte : body) byte = std::byte(rng.next() & 0x3U);
    const auto message = forged(1, kind, body, static_cast<std::uint32_t>(body.size()));
    bytes.insert(bytes.end(), message.begin(), message.end());
    const auto side = rng.chance(0.5) ? WireSide::kHolder : WireSide::kPuller;
    errors += parse(side, bytes, 1 + rng.below(50)).error ? 1 : 0;
  }
  EXPECT_GT(errors, 200U);
}

}  // namespace
}  // namespace llmd::kvtransfer
