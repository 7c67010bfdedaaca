#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/budget.h"
#include "base/error.h"
#include "kvstore/block.h"
#include "model/block_id.h"

namespace llmd::kvstore {

struct BlockStoreOptions {
  std::size_t block_bytes = 0;          // every block has this size; >= 1
  bool shareable = false;               // other processes may be given its memory: BlockHandle::slab()
  std::size_t slab_bytes = 16U << 20U;  // memory comes from the kernel, and goes back, in pieces of about this size
};

/// What became of a reservation or a put.
enum class PutOutcome : std::uint8_t {
  kStored,    // reserve: write the bytes, then commit. commit, put: the store has the block
  kPresent,   // the store had it already: nothing to do
  kNoParent,  // the parent is not held, so no match could ever reach the block: store the parent first, or give up
  kFull,      // the budget is spent and every block is pinned: skip it
};

/// Counters since the start, and what is held now.
struct BlockStoreStats {
  std::uint64_t hits = 0;        // blocks that get() and get_leading() returned
  std::uint64_t misses = 0;      // blocks asked for that were not held
  std::uint64_t stored = 0;      // blocks that came in
  std::uint64_t duplicates = 0;  // puts and reservations of a block already held
  std::uint64_t evictions = 0;
  std::uint64_t refused = 0;         // kFull
  std::uint64_t orphans = 0;         // kNoParent
  std::size_t blocks = 0;            // held now
  std::size_t block_bytes_held = 0;  // blocks * block_bytes
  std::size_t memory_bytes = 0;      // taken from the budget: slabs, free buffers in them included
  std::size_t pinned_blocks = 0;     // held and referenced by a handle
};

class BlockStore;

/// A buffer to fill with a block's bytes. Nobody else sees it until commit; destroyed without one, it goes back to the
/// store. Movable; used by one thread at a time; must not outlive its store.
class Reservation {
 public:
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation();

  [[nodiscard]] PutOutcome outcome() const noexcept { return outcome_; }
  /// True: there is a buffer to fill.
  [[nodiscard]] explicit operator bool() const noexcept { return buffer_ != nullptr; }
  /// block_bytes of writable memory with arbitrary content; empty unless outcome() is kStored. Valid until commit or
  /// destruction.
  [[nodiscard]] std::span<std::byte> bytes() noexcept {
    return buffer_ == nullptr ? std::span<std::byte>{} : buffer_->bytes;
  }

 private:
  friend class BlockStore;
  Reservation(BlockStore* store, Buffer* buffer, const BlockId& id, std::optional<BlockId> parent,
              PutOutcome outcome) noexcept;

  BlockStore* store_;
  Buffer* buffer_;
  BlockId id_;
  std::optional<BlockId> parent_;
  PutOutcome outcome_;
};

/// KV blocks in host memory, by BlockId. A block is held only while its parent is, so what is held is a forest of
/// prefix chains; under the budget the least recently used leaf goes first (kvpolicy/block_lru.h), and never a block
/// that a handle pins. Thread-safe. One mutex guards the index; bytes are written and read outside it. A call costs
/// about 0.1 us, plus memory from the kernel when a new slab is needed. About 200 bytes of index a block, beside its
/// buffer.
class BlockStore {
 public:
  /// Slabs draw on `budget`, which must outlive the store and every handle. Pre: options.block_bytes > 0.
  BlockStore(BlockStoreOptions options, Budget& budget);
  /// Handles stay valid. No reservation may be open.
  ~BlockStore();
  BlockStore(const BlockStore&) = delete;
  BlockStore& operator=(const BlockStore&) = delete;

  /// Whether a block is held at this moment; counts as no use and pins nothing.
  [[nodiscard]] bool contains(const BlockId& id) const;

  /// How many leading blocks of `chain` are held, and marks the last of them (so all of them) as just used.
  /// Pre: `chain` is one chain of block_chain(), from its first block; for ids of a peer use get_leading().
  /// O(log chain). Pins nothing: the blocks may go before a later get.
  [[nodiscard]] std::size_t match(std::span<const BlockId> chain);

  /// The block, pinned until the handle goes; empty if it is not held.
  [[nodiscard]] BlockHandle get(const BlockId& id);
  /// The leading blocks of `ids` that are held, each pinned. Any ids may be asked for.
  [[nodiscard]] std::vector<BlockHandle> get_leading(std::span<const BlockId> ids);

  /// A buffer for a block that is not held. `parent`: the block before it; none for the first of a chain.
  [[nodiscard]] Reservation reserve(const BlockId& id, const std::optional<BlockId>& parent);
  struct Committed {
    PutOutcome outcome =
        PutOutcome::kStored;  // kPresent: another thread was faster; kNoParent: the parent went meanwhile
    BlockHandle handle;       // with kStored and kPresent
  };
  /// Makes a filled reservation visible. `checksum`: checksum64 of its bytes, if the caller knows it; else it is made
  /// here (one pass over the bytes, which are in the cache). Pre: `reservation` has a buffer.
  Committed commit(Reservation&& reservation, std::optional<std::uint64_t> checksum = std::nullopt);

  /// Copies a block in. Error kBlockMismatch if the size is wrong.
  Result<PutOutcome> put(const BlockId& id, const std::optional<BlockId>& parent, std::span<const std::byte> bytes);

  /// Drops every block that no handle pins (and that no pinned block needs), and gives empty slabs back. Returns the
  /// number dropped.
  std::size_t clear();

  [[nodiscard]] BlockStoreStats stats() const;
  [[nodiscard]] std::size_t block_bytes() const noexcept { return options_.block_bytes; }
  /// Index, buffers, slabs, pins and budget agree. For tests and on idle in debug builds. O(blocks).
  [[nodiscard]] bool check_integrity() const;

 private:
  friend class Reservation;
  class State;
  BlockStoreOptions options_;
  State* state_;  // lives until the store and the last handle are gone
};

}  // namespace llmd::kvstore
