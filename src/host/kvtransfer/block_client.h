#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "kvstore/block_store.h"
#include "kvtransfer/peer_list.h"
#include "kvtransfer/transfer_metrics.h"
#include "kvtransfer/wire.h"
#include "net/address.h"
#include "net/client.h"
#include "runtime/loop.h"

namespace llmd::kvtransfer {

struct BlockClientOptions {
  Hello identity;  // of this worker's engine
  PeerList peers;
  std::size_t pulls_max = 16;       // at once
  std::size_t waiting_max = 1'024;  // pulls that wait for their turn
  std::size_t idle_links_max = 8;   // kept for the next pull, a peer
  Duration idle_max = seconds{30};  // less than a holder's
};

struct PullRequest {
  net::Address peer;
  LeaseId lease;
  std::vector<BlockId> ids;       // in chain order; none: only the lease is ended
  std::optional<BlockId> parent;  // of the first one: held, and pinned by the caller until the pull ends
  bool last = true;               // nothing more will be asked of the lease: the holder may let it go
  TimePoint deadline;
  net::CancelToken* token = nullptr;  // must outlive the pull
};

/// What came of a pull. Blocks that arrived before an error are whole, checked and in the store.
struct PullResult {
  std::vector<kvstore::BlockHandle> blocks;  // leading ones of PullRequest::ids that the store holds now, pinned
  std::size_t blocks_received = 0;           // of them, over the wire; the others were there
  std::size_t bytes_received = 0;
  Duration took{};
  std::optional<Error> error;  // why not all of them came
};

/// Pulls blocks from the holders of its allow-list into a store. Belongs to one loop, which must outlive it. Every wait
/// ends at the pull's deadline. Cost on the loop: one pass over each block, with a turn for others between two.
class BlockClient {
 public:
  /// `store` and `metrics` must outlive it; metrics also the loop's run.
  BlockClient(Loop& loop, BlockClientOptions options, kvstore::BlockStore& store, TransferMetrics& metrics);
  /// Ends all pulls: no handle or reservation of theirs is left afterwards.
  ~BlockClient();
  BlockClient(const BlockClient&) = delete;
  BlockClient& operator=(const BlockClient&) = delete;

  /// Errors in the result: kPeerNotAllowed (before any connection), kConnectionRefused, kConnectionClosed, kProtocol,
  /// kBlockMismatch (version, model, block size, checksum, order, or a block that the holder lacks), kLeaseExpired,
  /// kOverloaded (the holder, or too many pulls here), kBudgetExhausted (the store is full of pinned blocks),
  /// kDeadlineExceeded, kCancelled.
  [[nodiscard]] Task<PullResult> pull(PullRequest request);

  /// Links that wait for the next pull.
  [[nodiscard]] std::size_t idle_links() const noexcept;
  [[nodiscard]] std::size_t pulls() const noexcept;

 private:
  struct State;
  class Pull;
  std::shared_ptr<State> state_;
};

}  // namespace llmd::kvtransfer
