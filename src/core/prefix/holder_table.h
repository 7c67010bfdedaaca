#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "prefix/index_memory.h"

namespace llmd {

/// The slots of the endpoints that hold one block, ascending. A view: valid while its IndexMemory::Reader lives.
struct Holders {
  static constexpr std::uint32_t kFew = 4;

  std::uint32_t count = 0;
  const std::uint16_t* many = nullptr;  // null: they are in the key
  std::uint64_t key = 0;                // the slots, 16 bits each; of more than four a hash and the count

  friend bool operator==(const Holders& a, const Holders& b) noexcept { return a.count == b.count && a.key == b.key; }
  template <class Visit>
  void for_each(Visit&& visit) const {
    if (many != nullptr) {
      for (std::uint32_t i = 0; i < count; ++i) visit(many[i]);
    } else {
      for (std::uint32_t i = 0; i < count; ++i) visit(static_cast<std::uint16_t>(key >> 16U * i));
    }
  }
};

/// Block hash → the endpoints that hold it, each with a mark that the writer uses. Up to four holders lie in the table
/// itself, 8 bytes each, more in one array of 4 bytes each.
///
/// The table is cut into shards by hash. A shard is an array of words, ordered by tag, open addressing without wrap; a
/// word is 32 bits of the hash and a holder. Blocks that agree in those bits and in the shard (42 bits with 1,024
/// shards) are taken for one; of a million unknown blocks less than one is thought to be known.
///
/// One writer at a time; find() may run beside it. A reader notes the shard's version before and after and tries again
/// if it has changed; arrays that the writer replaces stay until readers have left (IndexMemory).
class HolderTable {
 public:
  static constexpr std::uint16_t kSlotMax = 0x7ffd;

  HolderTable(std::uint64_t seed, std::size_t shards, IndexMemory& memory);
  ~HolderTable();
  HolderTable(const HolderTable&) = delete;
  HolderTable& operator=(const HolderTable&) = delete;

  struct Shard;
  /// Where a block is looked for.
  struct Place {
    Shard* shard = nullptr;
    std::uint32_t tag = 0;
  };
  [[nodiscard]] Place place(std::uint64_t hash) const noexcept;
  /// Loads what will be looked at first.
  static void prefetch(const Place& place) noexcept;
  /// Nothing: the writer was met too often, ask again under its lock. Pre: a Reader lives.
  [[nodiscard]] std::optional<Holders> find(const Place& place) const noexcept;

  /// A (block, endpoint) pair; valid until the next change.
  class Pair {
   public:
    explicit operator bool() const noexcept { return word_ != nullptr; }
    [[nodiscard]] std::uint16_t mark() const noexcept;
    void set_mark(std::uint16_t mark) const noexcept;

   private:
    friend class HolderTable;
    std::atomic<std::uint64_t>* word_ = nullptr;
    std::uint16_t* mark_ = nullptr;  // of a pair in an array
  };
  [[nodiscard]] Pair pair(std::uint64_t hash, std::uint16_t slot) noexcept;
  /// Pre: not there. False: no memory.
  [[nodiscard]] bool add(std::uint64_t hash, std::uint16_t slot, std::uint16_t mark);
  /// False if it was not there.
  bool remove(std::uint64_t hash, std::uint16_t slot);

  [[nodiscard]] std::size_t blocks() const noexcept { return blocks_; }
  [[nodiscard]] std::size_t pairs() const noexcept { return pairs_; }
  /// Order, counts and arrays agree. O(pairs).
  [[nodiscard]] bool check_integrity() const;

 private:
  using Word = std::atomic<std::uint64_t>;
  /// The words of one tag.
  struct Range {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  class Change;

  [[nodiscard]] static Range range(const Shard& shard, std::uint32_t tag) noexcept;
  [[nodiscard]] bool scan(const Word* words, std::uint32_t homes, std::uint32_t tag, Holders& found) const noexcept;
  [[nodiscard]] bool insert(Shard& shard, std::uint64_t word);
  [[nodiscard]] bool grow(Shard& shard);
  static void erase(Shard& shard, std::uint32_t at) noexcept;

  [[nodiscard]] bool to_set(Shard& shard, Range range, std::uint16_t slot, std::uint16_t mark);
  [[nodiscard]] bool add_to_set(Shard& shard, std::uint32_t set, std::uint16_t slot, std::uint16_t mark);
  bool remove_from_set(Shard& shard, std::uint32_t at, std::uint16_t slot);
  [[nodiscard]] std::optional<std::uint32_t> new_set();
  struct Set;
  [[nodiscard]] Set& set(std::uint32_t number) const noexcept;

  std::uint64_t seed_;
  IndexMemory& memory_;
  Shard* shards_ = nullptr;  // null: no memory, then nothing is held
  std::size_t shard_count_;
  std::size_t blocks_ = 0;
  std::size_t pairs_ = 0;

  // Sets by number. A part has twice the places of the one before, so that none ever moves.
  static constexpr std::uint32_t kFirstPart = 64;
  std::array<std::atomic<Set*>, 26> parts_{};
  std::uint32_t sets_ = 0;
  std::vector<std::uint32_t> free_sets_;
};

struct HolderTable::Shard {
  std::atomic<std::uint32_t> version{0};  // odd while the words move
  std::atomic<std::uint32_t> homes{0};
  std::atomic<Word*> words{nullptr};
  std::uint32_t size = 0;   // of words
  std::uint32_t count = 0;  // of words in use
};

inline HolderTable::Place HolderTable::place(std::uint64_t hash) const noexcept {
  // Mixed with the seed, so that a client that knows the hash function cannot choose blocks that collide.
  std::uint64_t mixed = (hash ^ seed_) * 0x9e37'79b9'7f4a'7c15ULL;
  mixed = (mixed ^ mixed >> 32U) * 0xd6e8'feb8'6659'fd93ULL;
  mixed ^= mixed >> 32U;
  return {.shard = shards_ == nullptr ? nullptr : shards_ + (mixed >> 40U & (shard_count_ - 1)),
          .tag = static_cast<std::uint32_t>(mixed)};
}

inline void HolderTable::prefetch(const Place& place) noexcept {
  if (place.shard == nullptr) return;
  const Word* const words = place.shard->words.load(std::memory_order_relaxed);
  const std::uint64_t homes = place.shard->homes.load(std::memory_order_relaxed);
  // If the two do not go together, this is an address that is of no use, which does no harm.
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(words) +
                                                   (place.tag * homes >> 32U) * sizeof(Word)));
}

}  // namespace llmd
