// links: llmd_kvtransfer
// The block protocol's parser on bytes of a peer. The first byte chooses the side that reads and the size of the pieces
// in which the rest arrives. What was read must survive being written and read again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/hash.h"
#include "kvtransfer/wire.h"

namespace {

using llmd::kvtransfer::BlockReply;
using llmd::kvtransfer::Message;
using llmd::kvtransfer::PayloadEnd;
using llmd::kvtransfer::WireParser;

constexpr std::uint64_t kBlockBytes = 100;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
void put(std::vector<std::uint8_t>& out, std::size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof value);
}

/// The records as messages of version 1 with true checks; what follows an inline reply comes from the next record's
/// body.
std::vector<std::uint8_t> with_checks(std::span<const std::uint8_t> records) {
  std::vector<std::uint8_t> out;
  while (records.size() >= 2) {
    const std::uint8_t type = records[0];
    const auto body = records.subspan(2, std::min<std::size_t>(records[1], records.size() - 2));
    records = records.subspan(2 + body.size());
    std::vector<std::uint8_t> header(llmd::kvtransfer::kWireHeaderBytes);
    if (type != 0) {  // 0: bytes without a header
      std::memcpy(header.data(), "LKVT", 4);
      put(header, 4, llmd::kvtransfer::kWireVersion);
      put(header, 6, std::uint16_t{type});
      put(header, 8, static_cast<std::uint32_t>(body.size()));
      put(header, 16, llmd::checksum64(std::as_bytes(body)));
      std::vector<std::uint8_t> covered{header.begin(), header.begin() + 12};
      covered.insert(covered.end(), header.begin() + 16, header.end());
      put(header, 12, static_cast<std::uint32_t>(llmd::xxh64(std::as_bytes(std::span{covered}))));
      out.insert(out.end(), header.begin(), header.end());
    }
    out.insert(out.end(), body.begin(), body.end());
  }
  return out;
}

std::vector<Message> parse(WireParser::Options options, std::span<const std::uint8_t> bytes, std::size_t piece) {
  WireParser parser{options};
  std::vector<std::byte> target(kBlockBytes);
  std::vector<Message> messages;
  while (!bytes.empty()) {
    const auto space = parser.space();
    require(!space.empty());
    const std::size_t count = std::min({piece, bytes.size(), space.size()});
    std::memcpy(space.data(), bytes.data(), count);
    bytes = bytes.subspan(count);
    auto message = parser.advance(count);
    if (!message) {
      require(!message.error().what.empty() && !parser.advance(0).has_value());
      break;
    }
    if (!*message) continue;
    if (std::holds_alternative<BlockReply>(**message)) parser.payload_into(target);
    messages.push_back(std::move(**message));
  }
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto side = (data[0] & 1U) != 0 ? llmd::kvtransfer::WireSide::kPuller : llmd::kvtransfer::WireSide::kHolder;
  const WireParser::Options options{.side = side, .block_bytes = kBlockBytes};
  const std::span<const std::uint8_t> rest{data + 1, size - 1};
  const auto bytes = (data[0] & 2U) != 0 ? with_checks(rest) : std::vector(rest.begin(), rest.end());
  const auto messages = parse(options, bytes, 1U + data[0] / 4U);
  require(parse(options, bytes, size) == messages);  // however the bytes arrive
  std::vector<std::byte> written;
  for (const Message& message : messages) {
    if (std::holds_alternative<PayloadEnd>(message)) continue;
    encode(message, written);
    const auto* reply = std::get_if<BlockReply>(&message);
    if (reply != nullptr && reply->placement == llmd::kvtransfer::Placement::kInline)
      written.resize(written.size() + kBlockBytes);
  }
  const auto again = parse(options, {reinterpret_cast<const std::uint8_t*>(written.data()), written.size()}, 1'000);
  const auto is_payload_end = [](const Message& message) { return std::holds_alternative<PayloadEnd>(message); };
  auto expected = messages, got = again;
  std::erase_if(expected, is_payload_end);
  std::erase_if(got, is_payload_end);
  require(expected == got);
  return 0;
}
