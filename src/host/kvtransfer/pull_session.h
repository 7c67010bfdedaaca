#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kvstore/block_store.h"
#include "kvtransfer/shared_memory.h"
#include "kvtransfer/transfer_metrics.h"
#include "kvtransfer/wire_connection.h"

namespace llmd::kvtransfer {

/// A connection to a holder, kept from one pull to the next.
struct HolderLink {
  HolderLink(Loop& loop, std::uint64_t block_bytes)
      : connection{loop, net::Socket{loop.executor()}, {.side = WireSide::kPuller, .block_bytes = block_bytes}} {}
  WireConnection connection;
  std::vector<SharedMemoryView> memories;  // of the holder, by number
  TimePoint idle_since{};
};

/// Fetches blocks of one lease over one link into a store. Belongs to one loop.
class PullSession {
 public:
  struct Setup {
    HolderLink& link;
    kvstore::BlockStore& store;
    TransferMetrics& metrics;
    LeaseId lease;
    std::span<const BlockId> ids;   // in chain order; must live as long as the session
    std::optional<BlockId> parent;  // of the first one: held, and pinned by the caller
  };
  explicit PullSession(const Setup& setup) : setup_{setup} {}

  /// Once on a fresh link. Errors: those of the connection, kBlockMismatch, kProtocol, kOverloaded.
  [[nodiscard]] Task<Result<void>> greet(Hello identity);
  /// Errors as greet(), kLeaseExpired, kBudgetExhausted (the store is full of pinned blocks). What came before one
  /// stays in blocks().
  [[nodiscard]] Task<Result<void>> fetch();
  /// Tells the holder that the lease is not needed any more.
  [[nodiscard]] Task<Result<void>> release();

  /// Lets go of everything at once; whatever runs ends with kCancelled.
  void abandon();
  /// Whether the holder has said anything in this session.
  [[nodiscard]] bool heard() const noexcept { return heard_; }
  [[nodiscard]] std::size_t received() const noexcept { return received_; }
  /// The leading ones of `ids` that the store holds now, pinned.
  [[nodiscard]] std::vector<kvstore::BlockHandle> take_blocks() noexcept { return std::exchange(blocks_, {}); }

 private:
  struct Round {
    std::size_t first = 0;
    std::size_t count = 0;
  };
  [[nodiscard]] Task<Result<Message>> next();
  [[nodiscard]] Task<Result<void>> ask();
  [[nodiscard]] Task<Result<void>> take_round(Round round);
  [[nodiscard]] Task<Result<void>> take_block(BlockReply reply);
  [[nodiscard]] Result<void> map(const SharedMemory& announced);
  [[nodiscard]] Result<void> open_place(const BlockId& id);
  [[nodiscard]] Result<void> keep(bool verified, const BlockReply& reply);

  Setup setup_;
  std::vector<kvstore::BlockHandle> blocks_;
  std::optional<kvstore::Reservation> place_;  // of the block that is coming; none if the store has it
  std::deque<Round> asked_;                    // and not answered yet, at most kRoundsAskedMax
  std::size_t next_to_ask_ = 0;
  std::size_t received_ = 0;
  bool heard_ = false;
  bool abandoned_ = false;
};

}  // namespace llmd::kvtransfer
