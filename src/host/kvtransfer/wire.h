#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "model/block_id.h"

namespace llmd::kvtransfer {

using LeaseId = Id<struct LeaseTag>;

/// The messages by which a decode worker (the puller) fetches blocks from a prefill worker (the holder). All integers
/// are little-endian. A message is a header of 24 bytes
///   magic "LKVT" | version u16 | type u16 | body_bytes u32 | header_check u32 | body_checksum u64
/// and a body. header_check is the low half of xxh64 over the other 20 bytes, body_checksum is checksum64 of the body.
/// After a BlockReply that is inline follow the block's bytes as they are, covered by the reply's own checksum, so that
/// they go from the holder's store to the puller's without a copy in between.
///
///   puller: Hello, (BlockRequest)*, LeaseDone      holder: Hello, ((SharedMemory | BlockReply)* then RequestEnd |
///   WireError)*
inline constexpr std::uint16_t kWireVersion = 1;
inline constexpr std::size_t kWireHeaderBytes = 24;
inline constexpr std::size_t kWireIdsMax = 16'384;                // of one BlockRequest
inline constexpr std::uint64_t kWireBlockBytesMax = 256U << 20U;  // of one block
inline constexpr std::size_t kWireTextMax = 256;                  // of a WireError
inline constexpr std::uint32_t kWireMemoriesMax = 4'096;          // that a holder passes over one connection

/// A request fits the socket's buffer, so that neither side waits for the other while it sends. A puller has at most
/// kRoundsAskedMax requests without a RequestEnd.
inline constexpr std::size_t kRoundBlocksMax = 64;  // of one request
inline constexpr std::size_t kRoundsAskedMax = 4;

/// What both sides must have in common; the first message each way.
struct Hello {
  Digest256 model_fingerprint{};
  std::uint32_t block_tokens = 0;
  std::uint64_t block_bytes = 0;
  bool shared_memory = false;  // puller: wants it. holder: may pass some
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct BlockRequest {
  LeaseId lease;
  std::vector<BlockId> ids;  // in chain order
  friend bool operator==(const BlockRequest&, const BlockRequest&) = default;
};
enum class Placement : std::uint8_t { kInline = 0, kShared = 1 };
struct BlockReply {
  std::uint32_t index = 0;  // in BlockRequest::ids
  BlockId id;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;  // checksum64 of the block
  Placement placement = Placement::kInline;
  std::uint32_t memory = 0;  // kShared: which of the memories that were passed
  std::uint64_t offset = 0;  // kShared: where in it
  friend bool operator==(const BlockReply&, const BlockReply&) = default;
};
/// The answer to a request is complete: `blocks` replies were sent, up to the first block that the lease does not hold.
struct RequestEnd {
  std::uint32_t blocks = 0;
  friend bool operator==(const RequestEnd&, const RequestEnd&) = default;
};
/// The puller needs nothing more of the lease.
struct LeaseDone {
  LeaseId lease;
  friend bool operator==(const LeaseDone&, const LeaseDone&) = default;
};
/// A memfd of this size comes with the message (SCM_RIGHTS); later replies name offsets in it.
struct SharedMemory {
  std::uint32_t memory = 0;  // 0, 1, 2, ... in the order in which they are passed
  std::uint64_t bytes = 0;
  friend bool operator==(const SharedMemory&, const SharedMemory&) = default;
};
enum class WireErrorCode : std::uint16_t {
  kUnknownLease = 1,
  kLeaseExpired = 2,
  kWrongFingerprint = 3,
  kWrongGeometry = 4,  // block_tokens or block_bytes differ
  kUnknownBlock = 5,
  kBadMessage = 6,
  kOverloaded = 7,
};
/// Instead of the answer to a Hello or a BlockRequest.
struct WireError {
  WireErrorCode code = WireErrorCode::kBadMessage;
  std::string text;  // one line, at most kWireTextMax bytes; longer texts are cut, unprintable bytes become '?'
  friend bool operator==(const WireError&, const WireError&) = default;
};
/// Not on the wire: the payload of the last inline BlockReply has been read.
struct PayloadEnd {
  bool verified = false;  // it was read into a target, and the checksum is right
  friend bool operator==(const PayloadEnd&, const PayloadEnd&) = default;
};

using Message =
    std::variant<Hello, BlockRequest, BlockReply, RequestEnd, LeaseDone, SharedMemory, WireError, PayloadEnd>;

/// Appends a message to `out`. Pre: not a PayloadEnd; a BlockRequest has at most kWireIdsMax ids.
void encode(const Message& message, std::vector<std::byte>& out);

/// Whether blocks may pass between the two sides. Error kBlockMismatch, naming both values.
[[nodiscard]] Result<void> check_hello(const Hello& mine, const Hello& theirs);
/// Whether `reply` is the one that comes after `replies_before` others to a request for `ids`. Error kBlockMismatch.
[[nodiscard]] Result<void> check_reply(const BlockReply& reply, std::span<const BlockId> ids,
                                       std::uint32_t replies_before);
/// The error that a peer's WireError means here: kLeaseExpired, kBlockMismatch, kOverloaded or kProtocol.
[[nodiscard]] Error to_error(const WireError& error);

enum class WireSide : std::uint8_t { kHolder, kPuller };  // which side reads

/// Reads a peer's messages piece by piece, trusting nothing: every length is bounded before memory is taken, every
/// checksum and enumerator is verified, a message of the wrong direction or before Hello is an error, trailing bytes
/// are errors. The first error is final. Holds one message at most (about 0.5 MiB for the largest request). Not
/// thread-safe.
///
///   while (...) { n = read(parser.space()); LLMD_TRY(auto message, parser.advance(n)); if (message) ... }
class WireParser {
 public:
  struct Options {
    WireSide side = WireSide::kHolder;
    std::uint64_t block_bytes = 0;  // every block has this size; 1..kWireBlockBytesMax
  };
  /// Pre: options.block_bytes lies in its range.
  explicit WireParser(Options options);

  /// Where the next bytes go; never empty. Valid until advance() or payload_into().
  [[nodiscard]] std::span<std::byte> space() noexcept;
  /// `count` bytes were read into space(). A message once one is complete. Errors: kProtocol, kBlockMismatch (version).
  [[nodiscard]] Result<std::optional<Message>> advance(std::size_t count);

  /// Right after an inline BlockReply: its bytes are read into `target` (which must live until the PayloadEnd). Without
  /// this call they are read and thrown away. Pre: target.size() == reply.bytes.
  void payload_into(std::span<std::byte> target) noexcept;

 private:
  enum class Phase : std::uint8_t { kHeader, kBody, kPayload, kFailed };

  [[nodiscard]] Result<std::optional<Message>> complete_header();
  [[nodiscard]] Result<std::optional<Message>> complete_body();
  [[nodiscard]] std::optional<Message> payload_read(std::size_t count);
  [[nodiscard]] Result<void> admit(const Message& message);
  void expect(Phase phase, std::size_t bytes);

  Options options_;
  Phase phase_ = Phase::kHeader;
  bool greeted_ = false;
  std::vector<std::uint64_t> shared_bytes_;  // of each memory that was announced
  std::vector<std::byte> buffer_;            // header or body, or scratch for a payload nobody wants
  std::size_t filled_ = 0;
  std::uint16_t type_ = 0;
  std::uint64_t body_checksum_ = 0;
  std::span<std::byte> target_{};
  std::uint64_t payload_left_ = 0;
  std::uint64_t payload_checksum_ = 0;
  std::optional<Error> error_;
};

}  // namespace llmd::kvtransfer
