#include "kvtransfer/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.h"

namespace llmd::kvtransfer {
namespace {

constexpr std::uint32_t kMagic = 0x54'56'4b'4cU;  // "LKVT"
constexpr std::size_t kScratchBytes = 64 * 1'024;
constexpr std::size_t kBodyBytesMax = 12 + kWireIdsMax * sizeof(Digest256);

enum class Type : std::uint16_t {
  kHello = 1,
  kBlockRequest = 2,
  kBlockReply = 3,
  kRequestEnd = 4,
  kLeaseDone = 5,
  kSharedMemory = 6,
  kWireError = 7,
};

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kProtocol, std::move(what), "the peer is no llmd worker, or the connection corrupts bytes");
}

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_{out} {}

  template <class T>
  void integer(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) out_.push_back(std::byte((std::uint64_t{value} >> (8 * i)) & 0xFFU));
  }
  void digest(const Digest256& digest) { bytes(std::as_bytes(std::span{digest})); }
  void bytes(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

 private:
  std::vector<std::byte>& out_;
};

/// Reads past the end give zeros and are remembered, so that a decoder checks once, at its end.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_{bytes} {}

  template <class T>
  T integer() {
    const auto bytes = take(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return static_cast<T>(value);
  }
  Digest256 digest() {
    Digest256 digest{};
    const auto bytes = take(digest.size());
    if (!bytes.empty()) std::memcpy(digest.data(), bytes.data(), bytes.size());
    return digest;
  }
  std::span<const std::byte> take(std::size_t count) {
    if (count > rest_.size()) {
      short_ = true;
      rest_ = {};
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  /// Everything was there and everything was read.
  [[nodiscard]] bool exact() const { return !short_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool short_ = false;
};

std::string printable(std::string_view text) {
  std::string line{text.substr(0, kWireTextMax)};
  std::ranges::replace_if(line, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return line;
}

std::uint32_t header_check(std::span<const std::byte> header) {
  std::byte covered[20];
  std::memcpy(covered, header.data(), 12);
  std::memcpy(covered + 12, header.data() + 16, 8);
  return static_cast<std::uint32_t>(xxh64(std::span<const std::byte>{covered}));
}

Type write_body(const Hello& hello, Writer& out) {
  out.digest(hello.model_fingerprint);
  out.integer(hello.block_tokens);
  out.integer(hello.block_bytes);
  out.integer(static_cast<std::uint8_t>(hello.shared_memory));
  return Type::kHello;
}
Type write_body(const BlockRequest& request, Writer& out) {
  out.integer(request.lease.value);
  out.integer(static_cast<std::uint32_t>(request.ids.size()));
  for (const BlockId& id : request.ids) out.digest(id.bytes);
  return Type::kBlockRequest;
}
Type write_body(const BlockReply& reply, Writer& out) {
  out.integer(reply.index);
  out.digest(reply.id.bytes);
  out.integer(reply.bytes);
  out.integer(reply.checksum);
  out.integer(static_cast<std::uint8_t>(reply.placement));
  out.integer(reply.memory);
  out.integer(reply.offset);
  return Type::kBlockReply;
}
Type write_body(const RequestEnd& end, Writer& out) {
  out.integer(end.blocks);
  return Type::kRequestEnd;
}
Type write_body(const LeaseDone& done, Writer& out) {
  out.integer(done.lease.value);
  return Type::kLeaseDone;
}
Type write_body(const SharedMemory& memory, Writer& out) {
  out.integer(memory.memory);
  out.integer(memory.bytes);
  return Type::kSharedMemory;
}
Type write_body(const WireError& error, Writer& out) {
  const std::string line = printable(error.text);
  out.integer(static_cast<std::uint16_t>(error.code));
  out.bytes(std::as_bytes(std::span{line}));
  return Type::kWireError;
}
Type write_body(const PayloadEnd&, Writer&) { return Type{}; }

Result<Message> read_request(Reader& in) {
  BlockRequest request;
  request.lease.value = in.integer<std::uint64_t>();
  const auto count = in.integer<std::uint32_t>();
  if (in.left() != count * sizeof(Digest256)) {
    return refuse(fmt::format("a request announces {} ids and holds {} bytes of them", count, in.left()));
  }
  request.ids.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) request.ids.push_back({in.digest()});
  return request;
}

Result<Message> read_reply(Reader& in) {
  BlockReply reply;
  reply.index = in.integer<std::uint32_t>();
  reply.id.bytes = in.digest();
  reply.bytes = in.integer<std::uint64_t>();
  reply.checksum = in.integer<std::uint64_t>();
  const auto placement = in.integer<std::uint8_t>();
  reply.memory = in.integer<std::uint32_t>();
  reply.offset = in.integer<std::uint64_t>();
  if (placement > 1) return refuse(fmt::format("a reply has placement {}; expected 0 or 1", placement));
  reply.placement = Placement{placement};
  return reply;
}

Result<Message> read_error(Reader& in) {
  const auto code = in.integer<std::uint16_t>();
  if (code < 1 || code > static_cast<std::uint16_t>(WireErrorCode::kOverloaded) || in.left() > kWireTextMax) {
    return refuse(fmt::format("an error has code {} and {} bytes of text; expected 1 to 7 and at most {}", code,
                              in.left(), kWireTextMax));
  }
  const auto text = in.take(in.left());
  return WireError{WireErrorCode{code}, printable({reinterpret_cast<const char*>(text.data()), text.size()})};
}

Result<Message> read_hello(Reader& in) {
  Hello hello;
  hello.model_fingerprint = in.digest();
  hello.block_tokens = in.integer<std::uint32_t>();
  hello.block_bytes = in.integer<std::uint64_t>();
  const auto shared = in.integer<std::uint8_t>();
  if (shared > 1) return refuse(fmt::format("a hello has shared_memory {}; expected 0 or 1", shared));
  hello.shared_memory = shared == 1;
  return hello;
}

Result<Message> read_memory(Reader& in) {
  SharedMemory memory;
  memory.memory = in.integer<std::uint32_t>();
  memory.bytes = in.integer<std::uint64_t>();
  return memory;
}

Result<Message> read_body(Type type, Reader& in) {
  switch (type) {
    case Type::kHello: return read_hello(in);
    case Type::kBlockRequest: return read_request(in);
    case Type::kBlockReply: return read_reply(in);
    case Type::kRequestEnd: return RequestEnd{in.integer<std::uint32_t>()};
    case Type::kLeaseDone: return LeaseDone{{in.integer<std::uint64_t>()}};
    case Type::kSharedMemory: return read_memory(in);
    case Type::kWireError: return read_error(in);
  }
  return refuse(fmt::format("a message has type {}; expected 1 to 7", static_cast<std::uint16_t>(type)));
}

/// The longest body of a type; none for types that do not exist or that this side never receives.
std::optional<std::size_t> body_bytes_max(Type type, WireSide side) {
  const bool puller = side == WireSide::kPuller;
  switch (type) {
    case Type::kHello: return 45;
    case Type::kBlockRequest: return puller ? std::nullopt : std::optional{kBodyBytesMax};
    case Type::kLeaseDone: return puller ? std::nullopt : std::optional<std::size_t>{8};
    case Type::kBlockReply: return puller ? std::optional<std::size_t>{65} : std::nullopt;
    case Type::kRequestEnd: return puller ? std::optional<std::size_t>{4} : std::nullopt;
    case Type::kSharedMemory: return puller ? std::optional<std::size_t>{12} : std::nullopt;
    case Type::kWireError: return puller ? std::optional<std::size_t>{2 + kWireTextMax} : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

void encode(const Message& message, std::vector<std::byte>& out) {
  const std::size_t start = out.size();
  out.resize(start + kWireHeaderBytes);
  Writer body{out};
  const Type type = std::visit([&](const auto& content) { return write_body(content, body); }, message);
  const auto written = std::span<const std::byte>{out}.subspan(start + kWireHeaderBytes);
  std::vector<std::byte> header;
  header.reserve(kWireHeaderBytes);
  Writer head{header};
  head.integer(kMagic);
  head.integer(kWireVersion);
  head.integer(static_cast<std::uint16_t>(type));
  head.integer(static_cast<std::uint32_t>(written.size()));
  head.integer(std::uint32_t{0});
  head.integer(checksum64(written));
  const std::uint32_t check = header_check(header);
  for (std::size_t i = 0; i < sizeof check; ++i) header[12 + i] = std::byte((check >> (8 * i)) & 0xFFU);
  std::ranges::copy(header, out.begin() + static_cast<std::ptrdiff_t>(start));
}

Result<void> check_hello(const Hello& mine, const Hello& theirs) {
  const std::string_view hint = "both workers must run the same llmd, model file, KV types and block size";
  if (mine.model_fingerprint != theirs.model_fingerprint) {
    const auto short_hex = [](const Digest256& digest) {
      return fmt::format("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    };
    return fail(ErrorCode::kBlockMismatch,
                fmt::format("the peer's model fingerprint begins with {}, this worker's with {}",
                            short_hex(theirs.model_fingerprint), short_hex(mine.model_fingerprint)),
                std::string{hint});
  }
  if (mine.block_tokens != theirs.block_tokens || mine.block_bytes != theirs.block_bytes) {
    return fail(ErrorCode::kBlockMismatch,
                fmt::format("the peer's blocks are {} tokens in {} bytes, this worker's {} in {}", theirs.block_tokens,
                            theirs.block_bytes, mine.block_tokens, mine.block_bytes),
                std::string{hint});
  }
  return {};
}

Result<void> check_reply(const BlockReply& reply, std::span<const BlockId> ids, std::uint32_t replies_before) {
  if (reply.index == replies_before && reply.index < ids.size() && reply.id == ids[reply.index]) return {};
  return fail(ErrorCode::kBlockMismatch,
              fmt::format("the peer sent block {} of {} where block {} was next, or one of another name", reply.index,
                          ids.size(), replies_before));
}

Error to_error(const WireError& error) {
  const auto as = [&](ErrorCode code, std::string_view hint) {
    return Error{.code = code, .what = "the peer answered: " + error.text, .hint = std::string{hint}};
  };
  switch (error.code) {
    case WireErrorCode::kUnknownLease:
    case WireErrorCode::kLeaseExpired: return as(ErrorCode::kLeaseExpired, "raise the prefill worker's lease time");
    case WireErrorCode::kWrongFingerprint:
    case WireErrorCode::kWrongGeometry:
    case WireErrorCode::kUnknownBlock: return as(ErrorCode::kBlockMismatch, "");
    case WireErrorCode::kOverloaded: return as(ErrorCode::kOverloaded, "");
    case WireErrorCode::kBadMessage: return as(ErrorCode::kProtocol, "");
  }
  return as(ErrorCode::kProtocol, "");
}

WireParser::WireParser(Options options) : options_{options} { expect(Phase::kHeader, kWireHeaderBytes); }

void WireParser::expect(Phase phase, std::size_t bytes) {
  phase_ = phase;
  buffer_.resize(bytes);
  filled_ = 0;
}

std::span<std::byte> WireParser::space() noexcept {
  if (phase_ != Phase::kPayload) return std::span{buffer_}.subspan(filled_);
  if (!target_.empty()) return target_.last(static_cast<std::size_t>(payload_left_));
  return std::span{buffer_}.first(static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, buffer_.size())));
}

void WireParser::payload_into(std::span<std::byte> target) noexcept {
  if (phase_ == Phase::kPayload && target.size() == payload_left_) target_ = target;
}

Result<std::optional<Message>> WireParser::advance(std::size_t count) {
  if (error_) return std::unexpected(*error_);
  Result<std::optional<Message>> result = std::nullopt;
  if (phase_ == Phase::kPayload) {
    result = payload_read(count);
  } else {
    filled_ += count;
    if (filled_ < buffer_.size()) return std::nullopt;
    result = phase_ == Phase::kHeader ? complete_header() : complete_body();
  }
  if (!result) {
    error_ = result.error();
    expect(Phase::kFailed, 1);
  }
  return result;
}

Result<std::optional<Message>> WireParser::complete_header() {
  Reader in{buffer_};
  if (in.integer<std::uint32_t>() != kMagic) return refuse("a message does not begin with LKVT");
  const auto version = in.integer<std::uint16_t>();
  type_ = in.integer<std::uint16_t>();
  const auto body_bytes = in.integer<std::uint32_t>();
  const auto check = in.integer<std::uint32_t>();
  body_checksum_ = in.integer<std::uint64_t>();
  if (check != header_check(buffer_)) return refuse("a message's header does not match its check");
  if (version != kWireVersion) {
    return fail(ErrorCode::kBlockMismatch,
                fmt::format("the peer speaks version {} of the block protocol, this worker {}", version, kWireVersion),
                "run the same llmd on both sides");
  }
  const auto limit = body_bytes_max(Type{type_}, options_.side);
  if (!limit || body_bytes > *limit) {
    return refuse(fmt::format("a message of type {} and {} bytes; that type has {} here", type_, body_bytes,
                              limit ? fmt::format("at most {}", *limit) : "no place"));
  }
  expect(Phase::kBody, body_bytes);
  if (body_bytes == 0) return complete_body();
  return std::nullopt;
}

Result<std::optional<Message>> WireParser::complete_body() {
  if (checksum64(buffer_) != body_checksum_) return refuse("a message's body does not match its checksum");
  Reader in{buffer_};
  auto message = read_body(Type{type_}, in);
  if (!message) return std::unexpected(std::move(message).error());
  if (!in.exact())
    return refuse(
        fmt::format("a message of type {} has a body of {} bytes, too few or too many", type_, buffer_.size()));
  LLMD_TRY_VOID(admit(*message));
  const auto* reply = std::get_if<BlockReply>(&*message);
  if (reply != nullptr && reply->placement == Placement::kInline) {
    payload_left_ = reply->bytes;
    payload_checksum_ = reply->checksum;
    target_ = {};
    expect(Phase::kPayload, kScratchBytes);
  } else {
    expect(Phase::kHeader, kWireHeaderBytes);
  }
  return std::optional<Message>{std::move(*message)};
}

/// What a single message cannot show: its place in the conversation, and what was agreed before.
Result<void> WireParser::admit(const Message& message) {
  const bool hello = std::holds_alternative<Hello>(message);
  if (hello == greeted_ && !std::holds_alternative<WireError>(message)) {
    return refuse(hello ? "a second hello" : "a message before hello");
  }
  greeted_ = greeted_ || hello;
  if (const auto* memory = std::get_if<SharedMemory>(&message)) {
    if (memory->memory != shared_bytes_.size() || memory->memory >= kWireMemoriesMax) {
      return refuse(fmt::format("shared memory number {}; expected {}, and at most {} of them", memory->memory,
                                shared_bytes_.size(), kWireMemoriesMax));
    }
    shared_bytes_.push_back(memory->bytes);
  }
  const auto* reply = std::get_if<BlockReply>(&message);
  if (reply == nullptr) return {};
  if (reply->bytes != options_.block_bytes) {
    return refuse(fmt::format("a block of {} bytes; expected {}", reply->bytes, options_.block_bytes));
  }
  if (reply->placement == Placement::kInline) return {};
  const std::uint64_t shared = reply->memory < shared_bytes_.size() ? shared_bytes_[reply->memory] : 0;
  if (shared < reply->bytes || reply->offset > shared - reply->bytes) {
    return refuse(fmt::format("a block at offset {} of {} bytes of shared memory", reply->offset, shared));
  }
  return {};
}

std::optional<Message> WireParser::payload_read(std::size_t count) {
  payload_left_ -= std::min<std::uint64_t>(count, payload_left_);
  if (payload_left_ > 0) return std::nullopt;
  const bool verified = !target_.empty() && checksum64(target_) == payload_checksum_;
  target_ = {};
  expect(Phase::kHeader, kWireHeaderBytes);
  return PayloadEnd{verified};
}

}  // namespace llmd::kvtransfer
