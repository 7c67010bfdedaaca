#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/error.h"
#include "kvtransfer/lease.h"
#include "kvtransfer/transfer_metrics.h"
#include "kvtransfer/wire.h"
#include "net/address.h"
#include "runtime/loop.h"

namespace llmd::kvtransfer {

struct BlockServerOptions {
  net::Address listen;
  unsigned unix_mode = 0600;
  Hello identity;  // of this worker's engine; shared_memory: pullers on this host may read the store
  LeaseOptions leases{};
  Duration lease_time = seconds{30};
  std::size_t connections_max = 64;
  Duration handshake_max = seconds{5};
  Duration idle_max = seconds{60};
  Duration stall_max = seconds{10};
};

/// Holds the blocks of finished prefills under leases, and gives them to decode workers that connect. Belongs to one
/// loop, which must outlive it. Cost on the loop: over TCP
/// the kernel's copy of each block, over shared memory about 1 us a block.
class BlockServer {
 public:
  /// Errors: kAddressInUse, kAddressInvalid, kIo. `metrics` must outlive the loop's run.
  [[nodiscard]] static Result<std::unique_ptr<BlockServer>> listen(Loop& loop, BlockServerOptions options,
                                                                   TransferMetrics& metrics);
  /// Closes all connections, ends all leases: no handle is left afterwards, whatever its coroutines still do.
  ~BlockServer();
  BlockServer(const BlockServer&) = delete;
  BlockServer& operator=(const BlockServer&) = delete;

  /// Keeps `blocks`, in chain order, for `lease_time`, or until a puller says that it is done. Errors as
  /// LeaseTable::grant.
  [[nodiscard]] Result<LeaseId> grant(std::vector<LeasedBlock> blocks);

  [[nodiscard]] const net::Address& address() const noexcept;  // with the port that was picked
  [[nodiscard]] LeaseTable::Stats leases() const;
  [[nodiscard]] std::size_t connections() const noexcept;

 private:
  struct State;
  explicit BlockServer(std::shared_ptr<State> state) : state_{std::move(state)} {}
  std::shared_ptr<State> state_;
};

}  // namespace llmd::kvtransfer
