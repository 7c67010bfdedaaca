#include "kvstore/block_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "base/hash.h"
#include "kvpolicy/block_lru.h"
#include "kvstore/slab_pool.h"

namespace llmd::kvstore {

/// What handles and the store share. Handles only touch a buffer's count, until it becomes 0; everything else is under
/// `mutex_`. A block is pinned in the index once for each time its count left 0, and unpinned once for each time it
/// came back: a handle taken between the two of a concurrent release adds a pin, so the block never looks free while a
/// handle lives.
class BlockStore::State final : public BufferOwner {
 public:
  State(const BlockStoreOptions& options, Budget& budget)
      : block_bytes_{options.block_bytes},
        lru_{budget.limit_bytes()},
        pool_{{.block_bytes = options.block_bytes,
               .slab_bytes = options.slab_bytes,
               .owner = this,
               .shareable = options.shareable},
              budget} {}
  ~State() = default;

  void on_unreferenced(Buffer& buffer) noexcept override {
    std::unique_lock lock{mutex_};
    lru_.unpin(static_cast<PoolBuffer&>(buffer).index);
    if (!closed_ || lru_.pinned_count() > 0) return;
    lock.unlock();
    delete this;
  }

  /// The store is going. The last handle, or this call, ends the state.
  void close() noexcept {
    std::unique_lock lock{mutex_};
    drop_unpinned();
    closed_ = true;
    if (lru_.pinned_count() > 0) return;
    lock.unlock();
    delete this;
  }

  bool contains(const BlockId& id) const {
    const std::lock_guard lock{mutex_};
    return lru_.find(id).has_value();
  }

  std::size_t match(std::span<const BlockId> chain) {
    const std::lock_guard lock{mutex_};
    // What is held is closed under parents, so the held blocks of a chain are its beginning.
    const auto end =
        std::partition_point(chain.begin(), chain.end(), [&](const BlockId& id) { return lru_.find(id).has_value(); });
    const auto count = static_cast<std::size_t>(end - chain.begin());
    if (count > 0) lru_.touch(*lru_.find(chain[count - 1]));
    return count;
  }

  BlockHandle get(const BlockId& id) {
    const std::lock_guard lock{mutex_};
    const auto index = lru_.find(id);
    ++(index ? counters_.hits : counters_.misses);
    return index ? handle_on(*index) : BlockHandle{};
  }

  std::vector<BlockHandle> get_leading(std::span<const BlockId> ids) {
    std::vector<BlockHandle> handles;
    handles.reserve(ids.size());
    const std::lock_guard lock{mutex_};
    for (const BlockId& id : ids) {
      const auto index = lru_.find(id);
      if (!index) break;
      handles.push_back(handle_on(*index));
    }
    counters_.hits += handles.size();
    counters_.misses += ids.size() - handles.size();
    return handles;
  }

  std::pair<PutOutcome, PoolBuffer*> reserve(const BlockId& id, const std::optional<BlockId>& parent) {
    const std::lock_guard lock{mutex_};
    if (const auto index = lru_.find(id)) {
      lru_.touch(*index);
      ++counters_.duplicates;
      return {PutOutcome::kPresent, nullptr};
    }
    const auto above = parent ? lru_.find(*parent) : std::nullopt;
    if (parent && !above) {
      ++counters_.orphans;
      return {PutOutcome::kNoParent, nullptr};
    }
    if (above) lru_.pin(*above);  // room for a block is not made by dropping the one it builds on
    PoolBuffer* buffer = take_buffer();
    if (above) lru_.unpin(*above);
    if (buffer == nullptr) ++counters_.refused;
    return {buffer == nullptr ? PutOutcome::kFull : PutOutcome::kStored, buffer};
  }

  void abandon(Buffer& buffer) noexcept {
    const std::lock_guard lock{mutex_};
    pool_.give(static_cast<PoolBuffer&>(buffer));
  }

  Committed commit(Buffer& buffer, const BlockId& id, const std::optional<BlockId>& parent) {
    auto& filled = static_cast<PoolBuffer&>(buffer);
    const std::lock_guard lock{mutex_};
    if (const auto index = lru_.find(id)) {
      pool_.give(filled);
      ++counters_.duplicates;
      return {PutOutcome::kPresent, handle_on(*index)};
    }
    const auto above = parent ? lru_.find(*parent) : std::nullopt;
    if (parent && !above) {
      pool_.give(filled);
      ++counters_.orphans;
      return {PutOutcome::kNoParent, {}};
    }
    if (!insert(filled, id, above)) {
      pool_.give(filled);
      ++counters_.refused;
      return {PutOutcome::kFull, {}};
    }
    ++counters_.stored;
    return {PutOutcome::kStored, handle_on(filled.index)};
  }

  std::size_t clear() {
    const std::lock_guard lock{mutex_};
    const std::size_t dropped = drop_unpinned();
    pool_.trim();
    return dropped;
  }

  BlockStoreStats stats() const {
    const std::lock_guard lock{mutex_};
    BlockStoreStats stats = counters_;
    stats.blocks = lru_.size();
    stats.block_bytes_held = lru_.bytes();
    stats.memory_bytes = pool_.memory_bytes();
    stats.pinned_blocks = lru_.pinned_count();
    return stats;
  }

  bool check_integrity() const {
    const std::lock_guard lock{mutex_};
    if (!lru_.check_integrity() || !pool_.check_integrity()) return false;
    std::size_t held = 0;
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      const PoolBuffer* buffer = buffers_[i];
      if (buffer == nullptr) continue;
      const auto index = static_cast<kvpolicy::BlockLru::Index>(i);
      const bool referenced = buffer->references.load(std::memory_order_relaxed) > 0;
      if (buffer->index != i || buffer->bytes.size() != block_bytes_ || (referenced && !lru_.pinned(index)))
        return false;
      ++held;
    }
    return held == lru_.size() && held <= pool_.taken();
  }

 private:
  BlockHandle handle_on(kvpolicy::BlockLru::Index index) {
    PoolBuffer* buffer = buffers_[index];
    if (buffer->references.fetch_add(1, std::memory_order_acquire) == 0) lru_.pin(index);
    return BlockHandle{buffer};
  }

  PoolBuffer* take_buffer() {
    PoolBuffer* buffer = pool_.take();
    while (buffer == nullptr && drop_oldest()) buffer = pool_.take();
    return buffer;
  }

  bool drop_oldest() {
    const auto victim = lru_.evict();
    if (!victim) return false;
    pool_.give(*std::exchange(buffers_[victim->index], nullptr));
    ++counters_.evictions;
    return true;
  }

  std::size_t drop_unpinned() {
    std::size_t dropped = 0;
    while (drop_oldest()) ++dropped;
    return dropped;
  }

  /// False if memory for the index is short.
  bool insert(PoolBuffer& buffer, const BlockId& id, std::optional<kvpolicy::BlockLru::Index> above) try {
    if (buffers_.size() == lru_.index_end()) buffers_.push_back(nullptr);  // before the index may take one more
    buffer.index = lru_.insert(id, above, block_bytes_);
    buffers_[buffer.index] = &buffer;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }

  mutable std::mutex mutex_;
  const std::size_t block_bytes_;
  kvpolicy::BlockLru lru_;
  std::vector<PoolBuffer*> buffers_;  // by the index of lru_
  SlabPool pool_;
  BlockStoreStats counters_;  // only the counters
  bool closed_ = false;
};

Reservation::Reservation(BlockStore* store, Buffer* buffer, const BlockId& id, std::optional<BlockId> parent,
                         PutOutcome outcome) noexcept
    : store_{store}, buffer_{buffer}, id_{id}, parent_{parent}, outcome_{outcome} {}

Reservation::Reservation(Reservation&& other) noexcept
    : store_{other.store_},
      buffer_{std::exchange(other.buffer_, nullptr)},
      id_{other.id_},
      parent_{other.parent_},
      outcome_{other.outcome_} {}

Reservation::~Reservation() {
  if (buffer_ != nullptr) store_->state_->abandon(*buffer_);
}

BlockStore::BlockStore(BlockStoreOptions options, Budget& budget)
    : options_{options}, state_{new State{options, budget}} {}

BlockStore::~BlockStore() { state_->close(); }

bool BlockStore::contains(const BlockId& id) const { return state_->contains(id); }

std::size_t BlockStore::match(std::span<const BlockId> chain) { return state_->match(chain); }

BlockHandle BlockStore::get(const BlockId& id) { return state_->get(id); }

std::vector<BlockHandle> BlockStore::get_leading(std::span<const BlockId> ids) { return state_->get_leading(ids); }

Reservation BlockStore::reserve(const BlockId& id, const std::optional<BlockId>& parent) {
  const auto [outcome, buffer] = state_->reserve(id, parent);
  return Reservation{this, buffer, id, parent, outcome};
}

BlockStore::Committed BlockStore::commit(Reservation&& reservation, std::optional<std::uint64_t> checksum) {
  Buffer* buffer = std::exchange(reservation.buffer_, nullptr);
  if (buffer == nullptr) return {reservation.outcome_, {}};
  buffer->checksum = checksum ? *checksum : checksum64(buffer->bytes);
  return state_->commit(*buffer, reservation.id_, reservation.parent_);
}

Result<PutOutcome> BlockStore::put(const BlockId& id, const std::optional<BlockId>& parent,
                                   std::span<const std::byte> bytes) {
  if (bytes.size() != options_.block_bytes) {
    return fail(ErrorCode::kBlockMismatch,
                fmt::format("a block of {} bytes was put; this store's have {}", bytes.size(), options_.block_bytes),
                "both sides must run the same model with the same KV types and block size");
  }
  Reservation reservation = reserve(id, parent);
  if (!reservation) return reservation.outcome();
  std::copy(bytes.begin(), bytes.end(), reservation.bytes().begin());
  return commit(std::move(reservation)).outcome;
}

std::size_t BlockStore::clear() { return state_->clear(); }

BlockStoreStats BlockStore::stats() const { return state_->stats(); }

bool BlockStore::check_integrity() const { return state_->check_integrity(); }

}  // namespace llmd::kvstore
