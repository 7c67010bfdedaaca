#include "kvtransfer/holder_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "telemetry/log.h"

namespace llmd::kvtransfer {
namespace {

WireErrorCode wire_code(ErrorCode code) noexcept {
  return code == ErrorCode::kLeaseExpired ? WireErrorCode::kLeaseExpired : WireErrorCode::kUnknownLease;
}

}  // namespace

HolderConnection::HolderConnection(HolderContext& context, net::Socket socket, bool is_unix)
    : context_{context},
      connection_{
          context.loop, std::move(socket), {.side = WireSide::kHolder, .block_bytes = context.identity.block_bytes}},
      is_unix_{is_unix} {}

void HolderConnection::close() {
  sending_.clear();
  connection_.socket().cancel();
}

Task<Result<void>> HolderConnection::run() {
  LLMD_CO_TRY_VOID(co_await greet());
  co_return co_await serve();
}

Task<Result<void>> HolderConnection::refuse(WireErrorCode code, Error error) {
  // GCC 12 destroys a braced temporary of a co_await expression twice, so messages with strings have a name.
  const WireError said{.code = code, .text = error.what};
  // The reason of the end is `error`, whether or not the peer still hears it.
  [[maybe_unused]] const Result<void> sent = co_await connection_.send(said);
  co_return std::unexpected(std::move(error));
}

Task<Result<void>> HolderConnection::greet() {
  connection_.socket().set_deadline(SteadyClock::now() + context_.handshake_max, "the handshake of a puller");
  Result<Message> first = co_await connection_.next();
  if (!first) co_return co_await refuse(WireErrorCode::kBadMessage, std::move(first).error());
  // The parser lets nothing but a hello come first.
  const auto& theirs = std::get<Hello>(*first);
  if (auto fits = check_hello(context_.identity, theirs); !fits) {
    const bool fingerprint = theirs.model_fingerprint != context_.identity.model_fingerprint;
    co_return co_await refuse(fingerprint ? WireErrorCode::kWrongFingerprint : WireErrorCode::kWrongGeometry,
                              std::move(fits).error());
  }
  shares_ = is_unix_ && theirs.shared_memory && context_.identity.shared_memory;
  Hello mine = context_.identity;
  mine.shared_memory = shares_;
  co_return co_await connection_.send(mine);
}

Task<Result<void>> HolderConnection::serve() {
  while (true) {
    connection_.socket().set_deadline(SteadyClock::now() + context_.idle_max, "a wait for a puller's next request");
    Result<Message> message = co_await connection_.next();
    if (!message) {
      const ErrorCode code = message.error().code;
      if (code == ErrorCode::kConnectionClosed || code == ErrorCode::kDeadlineExceeded) co_return Result<void>{};
      co_return co_await refuse(WireErrorCode::kBadMessage, std::move(message).error());
    }
    if (const auto* done = std::get_if<LeaseDone>(&*message)) {
      if (context_.leases.release(done->lease)) context_.on_release();
    } else {
      LLMD_CO_TRY_VOID(co_await answer(std::move(std::get<BlockRequest>(*message))));
    }
  }
}

Task<Result<void>> HolderConnection::answer(BlockRequest request) {
  if (request.ids.size() > kRoundBlocksMax) {
    Error error{
        .code = ErrorCode::kProtocol,
        .what = fmt::format("a request for {} blocks; expected at most {}", request.ids.size(), kRoundBlocksMax)};
    co_return co_await refuse(WireErrorCode::kBadMessage, std::move(error));
  }
  auto held = context_.leases.blocks_of(request.lease, request.ids, SteadyClock::now());
  if (!held) {
    context_.metrics.count_failure(held.error().code);
    log::warn("a puller asks for blocks that are not held: {}", held.error().to_string());
    const WireError said{.code = wire_code(held.error().code), .text = held.error().what};
    co_return co_await connection_.send(said);
  }
  sending_ = *std::move(held);
  const std::size_t count = sending_.size();
  for (std::size_t i = 0; i < count; ++i) {
    connection_.socket().set_deadline(SteadyClock::now() + context_.stall_max, "sending a block to a puller");
    LLMD_CO_TRY_VOID(co_await send_block(request, i));
    co_await connection_.socket().take_turns(context_.identity.block_bytes);
    if (sending_.empty()) co_return fail(ErrorCode::kCancelled, "the holder of blocks shuts down");  // close()
  }
  sending_.clear();
  co_return co_await connection_.send(RequestEnd{.blocks = static_cast<std::uint32_t>(count)});
}

Task<Result<void>> HolderConnection::send_block(const BlockRequest& request, std::size_t index) {
  const kvstore::BlockHandle& handle = sending_[index];
  const std::span<const std::byte> block = handle.bytes();
  const BlockReply reply{.index = static_cast<std::uint32_t>(index),
                         .id = request.ids[index],
                         .bytes = block.size(),
                         .checksum = handle.checksum()};
  const kvstore::SharedSlab* slab = handle.slab();
  const bool in_place = shares_ && slab != nullptr && memories_.size() < kWireMemoriesMax;
  if (in_place) {
    LLMD_CO_TRY_VOID(co_await send_in_place(reply, *slab, block));
  } else {
    LLMD_CO_TRY_VOID(co_await connection_.send_with_payload(reply, block));
  }
  context_.metrics.count_sent(block.size());
  co_return Result<void>{};
}

/// The puller reads the block where it lies; the lease keeps it there.
Task<Result<void>> HolderConnection::send_in_place(BlockReply reply, const kvstore::SharedSlab& slab,
                                                   std::span<const std::byte> block) {
  const auto number = static_cast<std::uint32_t>(memories_.size());
  const auto [memory, is_new] = memories_.try_emplace(slab.id, number);
  reply.placement = Placement::kShared;
  reply.memory = memory->second;
  reply.offset = static_cast<std::uint64_t>(block.data() - slab.bytes.data());
  if (is_new) {
    const SharedMemory announcement{.memory = number, .bytes = slab.bytes.size()};
    LLMD_CO_TRY_VOID(co_await connection_.send(announcement, slab.fd));
  }
  connection_.queue(reply);  // goes out with the end of the round: one message to wake the puller up with
  co_return Result<void>{};
}

}  // namespace llmd::kvtransfer
