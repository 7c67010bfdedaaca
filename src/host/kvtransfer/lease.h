#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/rng.h"
#include "kvstore/block.h"
#include "kvtransfer/wire.h"
#include "model/block_id.h"

namespace llmd::kvtransfer {

/// One block that a lease pins.
struct LeasedBlock {
  BlockId id;
  kvstore::BlockHandle handle;
};

struct LeaseOptions {
  std::size_t leases_max = 1'024;  // at once
  std::size_t bytes_max = 0;       // pinned by all leases; a block under two leases counts twice
  std::uint64_t id_seed = 0;       // drawn by the host, so that ids of one process mean nothing to the next
};

/// Keeps the blocks of finished prefills in place until the decode worker has them, or its deadline passes. Pure: time
/// comes in. Not thread-safe. Memory: about 60 bytes a block and 200 a lease.
class LeaseTable {
 public:
  explicit LeaseTable(LeaseOptions options) : options_{options}, ids_{options.id_seed} {}

  /// Pins `blocks`, in chain order, until `deadline`. Errors: kOverloaded (too many leases, or too many bytes; the
  /// blocks stay in the store unpinned, and the decode worker recomputes what is gone).
  [[nodiscard]] Result<LeaseId> grant(std::vector<LeasedBlock> blocks, TimePoint deadline);

  /// Handles on `wanted`, up to the first that the lease does not hold; `wanted` is in chain order. The handles outlive
  /// the lease. Errors: kLeaseExpired, kNotFound (never granted, released, or expired long ago). O(blocks of the
  /// lease).
  [[nodiscard]] Result<std::vector<kvstore::BlockHandle>> blocks_of(LeaseId lease, std::span<const BlockId> wanted,
                                                                    TimePoint now) const;

  /// The puller is done. False if there is no such lease.
  bool release(LeaseId lease);
  /// Ends the leases whose deadline is not after `now`; returns how many.
  std::size_t tick(TimePoint now);
  /// When the next one ends: when to call tick().
  [[nodiscard]] std::optional<TimePoint> next_deadline() const;

  struct Stats {
    std::uint64_t granted = 0, released = 0, expired = 0, refused = 0;  // since the start
    std::size_t leases = 0, blocks = 0, bytes = 0;                      // now
  };
  [[nodiscard]] Stats stats() const;
  /// Sums and both indexes agree. For tests, and on idle in debug builds.
  [[nodiscard]] bool check_integrity() const;

 private:
  static constexpr std::size_t kExpiredRemembered = 256;

  struct Lease {
    std::vector<LeasedBlock> blocks;
    TimePoint deadline;
    std::size_t bytes = 0;
  };
  void drop(std::unordered_map<LeaseId, Lease>::iterator lease);

  LeaseOptions options_;
  Rng ids_;
  std::unordered_map<LeaseId, Lease> leases_;
  std::set<std::pair<TimePoint, LeaseId>> deadlines_;
  std::deque<LeaseId> expired_;  // the last kExpiredRemembered, to tell "expired" from "unknown"
  std::size_t bytes_ = 0;
  Stats counters_;
};

}  // namespace llmd::kvtransfer
