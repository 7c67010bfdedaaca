#include "kvtransfer/pull_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "kvtransfer/checked_copy.h"

namespace llmd::kvtransfer {
namespace {

std::unexpected<Error> out_of_place(std::string_view what) {
  return fail(ErrorCode::kProtocol, fmt::format("the peer sent {}", what), "the peer is no llmd worker");
}

}  // namespace

void PullSession::abandon() {
  abandoned_ = true;
  blocks_.clear();
  place_.reset();
  setup_.link.connection.socket().cancel();
}

Task<Result<Message>> PullSession::next() {
  LLMD_CO_TRY(Message message, co_await setup_.link.connection.next());
  heard_ = true;
  if (const auto* error = std::get_if<WireError>(&message)) co_return std::unexpected(to_error(*error));
  co_return message;
}

Task<Result<void>> PullSession::greet(Hello identity) {
  identity.shared_memory = true;
  LLMD_CO_TRY_VOID(co_await setup_.link.connection.send(identity));
  LLMD_CO_TRY(const Message first, co_await next());
  const auto& theirs = std::get<Hello>(first);  // the parser lets nothing else come first
  LLMD_CO_TRY_VOID(check_hello(identity, theirs));
  co_return Result<void>{};
}

Result<void> PullSession::map(const SharedMemory& announced) {
  const kvstore::FileDescriptor fd = setup_.link.connection.socket().take_passed_fd();
  LLMD_TRY(SharedMemoryView view, SharedMemoryView::map(fd, announced.bytes));
  setup_.link.memories.push_back(std::move(view));  // the parser has checked that it is the next one
  return {};
}

Task<Result<void>> PullSession::ask() {
  const Round round{.first = next_to_ask_, .count = std::min(kRoundBlocksMax, setup_.ids.size() - next_to_ask_)};
  next_to_ask_ += round.count;
  asked_.push_back(round);
  BlockRequest request{.lease = setup_.lease};
  const auto ids = setup_.ids.subspan(round.first, round.count);
  request.ids.assign(ids.begin(), ids.end());
  co_return co_await setup_.link.connection.send(request);
}

Task<Result<void>> PullSession::fetch() {
  while (blocks_.size() < setup_.ids.size()) {
    while (asked_.size() < kRoundsAskedMax && next_to_ask_ < setup_.ids.size()) LLMD_CO_TRY_VOID(co_await ask());
    const Round round = asked_.front();
    asked_.pop_front();
    LLMD_CO_TRY_VOID(co_await take_round(round));
  }
  co_return Result<void>{};
}

Task<Result<void>> PullSession::take_round(Round round) {
  const auto ids = setup_.ids.subspan(round.first, round.count);
  std::uint32_t replies = 0;
  while (true) {
    LLMD_CO_TRY(const Message message, co_await next());
    if (const auto* end = std::get_if<RequestEnd>(&message)) {
      if (end->blocks == replies && replies == ids.size()) co_return Result<void>{};
      co_return fail(ErrorCode::kBlockMismatch,
                     fmt::format("the peer holds {} of the {} blocks asked for", replies, ids.size()),
                     "the prefill worker's block store is too small for its leases");
    }
    if (const auto* memory = std::get_if<SharedMemory>(&message)) {
      LLMD_CO_TRY_VOID(map(*memory));
      continue;
    }
    const auto* reply = std::get_if<BlockReply>(&message);
    if (reply == nullptr) co_return out_of_place("a message that is no answer to a request for blocks");
    LLMD_CO_TRY_VOID(check_reply(*reply, ids, replies));
    LLMD_CO_TRY_VOID(co_await take_block(*reply));
    ++replies;
  }
}

Task<Result<void>> PullSession::take_block(BlockReply reply) {
  LLMD_CO_TRY_VOID(open_place(reply.id));
  if (reply.placement == Placement::kShared) {
    // The parser has checked number and offset against what was announced, which is what the views have.
    const auto from = setup_.link.memories[reply.memory].bytes().subspan(reply.offset, reply.bytes);
    const bool verified = place_ && checked_copy(from, place_->bytes()) == reply.checksum;
    LLMD_CO_TRY_VOID(keep(verified, reply));
    co_await setup_.link.connection.socket().take_turns(reply.bytes);
  } else {
    if (place_) setup_.link.connection.payload_into(place_->bytes());
    LLMD_CO_TRY(const Message message, co_await next());
    LLMD_CO_TRY_VOID(keep(std::get<PayloadEnd>(message).verified, reply));
  }
  if (abandoned_) co_return fail(ErrorCode::kCancelled, "this worker shuts down");
  co_return Result<void>{};
}

Result<void> PullSession::open_place(const BlockId& id) {
  const auto parent = blocks_.empty() ? setup_.parent : std::optional{setup_.ids[blocks_.size() - 1]};
  place_.emplace(setup_.store.reserve(id, parent));
  if (*place_) return {};
  const bool present = place_->outcome() == kvstore::PutOutcome::kPresent;
  place_.reset();
  if (!present) {
    return fail(ErrorCode::kBudgetExhausted, "the block store has no room: all its blocks are in use",
                "raise --store-memory");
  }
  blocks_.push_back(setup_.store.get(id));
  if (blocks_.back()) return {};
  blocks_.pop_back();  // evicted between the two calls
  return fail(ErrorCode::kBudgetExhausted, "the block store drops blocks faster than they come",
              "raise --store-memory");
}

/// The block of the last reply has been read, or thrown away if the store had it.
Result<void> PullSession::keep(bool verified, const BlockReply& reply) {
  if (!place_) return {};
  const BlockId& id = setup_.ids[blocks_.size()];
  if (!verified) {
    place_.reset();
    return fail(ErrorCode::kBlockMismatch,
                fmt::format("block {:02x}{:02x}{:02x}{:02x} came with other bytes than its checksum says", id.bytes[0],
                            id.bytes[1], id.bytes[2], id.bytes[3]),
                "memory or network of one of the two machines corrupts data");
  }
  auto committed = setup_.store.commit(*std::exchange(place_, std::nullopt), reply.checksum);
  if (!committed.handle) {
    return fail(ErrorCode::kBudgetExhausted, "the block store has no room for the block that came",
                "raise --store-memory");
  }
  blocks_.push_back(std::move(committed.handle));
  ++received_;
  setup_.metrics.count_received(reply.bytes);
  return {};
}

Task<Result<void>> PullSession::release() {
  co_return co_await setup_.link.connection.send(LeaseDone{.lease = setup_.lease});
}

}  // namespace llmd::kvtransfer
