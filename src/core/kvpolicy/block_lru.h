#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/block_id.h"

namespace llmd::kvpolicy {

/// Which blocks a tier holds, and which goes next when its byte budget is spent: the least recently used block that no
/// one pins and that no held block builds on. So a prefix chain loses its tail before its head, and what is held can be
/// matched. A block counts as used when it, or a descendant that is gone by now, was: a match needs to touch only its
/// deepest block. Not thread-safe, no I/O. Every operation is O(1), amortised: evict() steps at most once over a block
/// for each time it was inserted, touched or unpinned. About 140 bytes an entry; bytes_max / (smallest block) entries
/// at most.
class BlockLru {
 public:
  /// Names an entry from insert() until evict() returns it; reused afterwards, so that a host may keep data in an array
  /// beside.
  using Index = std::uint32_t;

  explicit BlockLru(std::size_t bytes_max) : bytes_max_{bytes_max} {}
  /// Goes on by itself from where the other stands. O(size).
  BlockLru(const BlockLru& other);
  BlockLru(BlockLru&&) = default;
  BlockLru& operator=(const BlockLru&) = delete;
  BlockLru& operator=(BlockLru&&) = default;
  ~BlockLru() = default;

  /// Not a use.
  [[nodiscard]] std::optional<Index> find(const BlockId& id) const noexcept;
  /// Whether `bytes` more fit without an eviction.
  [[nodiscard]] bool fits(std::size_t bytes) const noexcept { return bytes <= bytes_max_ - bytes_; }

  /// Adds a block as just used. Pre: `id` is not held, `parent` is held (none: the first of a chain), fits(bytes).
  Index insert(const BlockId& id, std::optional<Index> parent, std::size_t bytes);
  /// Marks it as just used.
  void touch(Index index) noexcept;
  /// Pins count. The last unpin is a use.
  void pin(Index index) noexcept;
  void unpin(Index index) noexcept;
  [[nodiscard]] bool pinned(Index index) const noexcept { return entries_[index].pins > 0; }

  struct Victim {
    Index index = 0;
    BlockId id;
    std::size_t bytes = 0;
  };
  /// Removes and returns the block that goes next. None: the rest is pinned, or below something pinned.
  [[nodiscard]] std::optional<Victim> evict();

  [[nodiscard]] std::size_t size() const noexcept { return indexes_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }
  /// Entries with a pin.
  [[nodiscard]] std::size_t pinned_count() const noexcept { return pinned_count_; }
  /// Every index is below this: the size for an array beside.
  [[nodiscard]] std::size_t index_end() const noexcept { return entries_.size(); }

  /// Links, counts and bytes agree. O(size). For tests, and on idle in debug builds.
  [[nodiscard]] bool check_integrity() const;

 private:
  static constexpr Index kNone = std::numeric_limits<Index>::max();

  struct Entry {
    const BlockId* id = nullptr;  // the key in indexes_; null: a free entry
    std::size_t bytes = 0;
    Index parent = kNone;
    Index older = kNone;
    Index newer = kNone;
    std::uint32_t children = 0;
    std::uint32_t pins = 0;
    bool listed = false;
  };

  void list_newest(Index index) noexcept;
  void list_oldest(Index index) noexcept;
  void unlist(Index index) noexcept;
  [[nodiscard]] bool evictable(const Entry& entry) const noexcept { return entry.children == 0 && entry.pins == 0; }
  Victim remove(Index index);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::size_t pinned_count_ = 0;
  std::unordered_map<BlockId, Index> indexes_;
  std::vector<Entry> entries_;
  std::vector<Index> free_;
  // From the oldest to the newest use. Entries that cannot go may be missing: evict() takes out those that it meets,
  // and they come back when they are used, or, once their last child went, at the oldest end, since all that is listed
  // is newer.
  Index oldest_ = kNone;
  Index newest_ = kNone;
};

}  // namespace llmd::kvpolicy
