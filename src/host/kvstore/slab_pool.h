#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/budget.h"
#include "kvstore/block.h"

namespace llmd::kvstore {

struct Slab;

/// A buffer of a pool. `index` belongs to the pool's user.
struct PoolBuffer : Buffer {
  Slab* home = nullptr;
  std::uint32_t index = 0;
};

struct SlabPoolOptions {
  std::size_t block_bytes = 0;   // size of each buffer; >= 1
  std::size_t slab_bytes = 0;    // memory comes from the kernel in pieces of about this size, at least one buffer each
  BufferOwner* owner = nullptr;  // set in each buffer
  bool shareable = false;        // other processes may read the slabs (SharedSlab), where the kernel allows it
};

/// Fixed-size buffers, 64-byte aligned, cut from slabs of anonymous memory, so that a block costs no malloc. A slab is
/// charged to the budget as a whole while it is mapped; one that becomes empty goes back to the kernel, but for one
/// spare. Shareable slabs hold one descriptor each, so they are larger if there would be over kSharedSlabsMax of them.
/// Not thread-safe. take() and give() are O(1), apart from mapping a slab.
class SlabPool {
 public:
  static constexpr std::size_t kSharedSlabsMax = 256;

  /// The budget must outlive the pool.
  SlabPool(SlabPoolOptions options, Budget& budget);
  /// Unmaps everything, whoever still has a buffer.
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  /// A buffer with arbitrary content; null if the budget or the kernel refuses.
  [[nodiscard]] PoolBuffer* take() noexcept;
  /// Pre: `buffer` came from take() of this pool.
  void give(PoolBuffer& buffer) noexcept;
  /// Gives back the spare slab, too.
  void trim() noexcept;

  [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_bytes_; }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_; }
  /// Counts, links and charges agree. O(buffers).
  [[nodiscard]] bool check_integrity() const;

 private:
  [[nodiscard]] bool add_slab();
  [[nodiscard]] bool map_slab(std::size_t buffers);
  [[nodiscard]] std::byte* map_memory(Slab& slab);
  void drop_slab(Slab& slab) noexcept;

  SlabPoolOptions options_;
  std::size_t stride_;
  Budget& budget_;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> open_;  // slabs with a free buffer; the last one serves
  std::size_t memory_bytes_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace llmd::kvstore
