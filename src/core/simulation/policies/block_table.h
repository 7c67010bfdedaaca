#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "simulation/policies/holder_set.h"

namespace llmd {

/// Block hash → who holds it, for rival policies, one thread. Open addressing with linear probing; a removal shifts its
/// successors back, so there are no tombstones. 16 bytes an entry at a load of 3/8 to 3/4; grows, never shrinks.
/// Pointers are valid until the next change.
class BlockTable {
 public:
  /// `seed` keeps a client that knows the hash function from choosing prompts that collide.
  explicit BlockTable(std::uint64_t seed) : seed_{seed}, entries_(kCapacityMin) {}

  [[nodiscard]] const HolderSet* find(std::uint64_t hash) const noexcept {
    for (std::size_t i = home(hash);; i = next(i)) {
      if (entries_[i].holders.empty()) return nullptr;
      if (entries_[i].hash == hash) return &entries_[i].holders;
    }
  }
  [[nodiscard]] HolderSet* find(std::uint64_t hash) noexcept {
    return const_cast<HolderSet*>(std::as_const(*this).find(hash));
  }

  /// The holders of the block, an empty set if it is new: the caller must add one before any other call.
  HolderSet& find_or_add(std::uint64_t hash) {
    if ((size_ + 1) * 4 > entries_.size() * 3) grow();
    std::size_t i = home(hash);
    while (!entries_[i].holders.empty() && entries_[i].hash != hash) i = next(i);
    if (entries_[i].holders.empty()) {
      entries_[i].hash = hash;
      ++size_;
    }
    return entries_[i].holders;
  }

  /// Pre: the set that find() gave for `hash` has just become empty.
  void erase_emptied(std::uint64_t hash) noexcept {
    std::size_t hole = home(hash);
    while (!(entries_[hole].hash == hash && entries_[hole].holders.empty())) hole = next(hole);
    --size_;
    for (std::size_t i = next(hole); !entries_[i].holders.empty(); i = next(i)) {
      // An entry may move back into the hole unless its home lies after the hole.
      if (((i - home(entries_[i].hash)) & mask()) < ((i - hole) & mask())) continue;
      entries_[hole].hash = entries_[i].hash;
      entries_[hole].holders = std::move(entries_[i].holders);
      hole = i;
    }
  }

  /// Loads the line where `hash` would lie.
  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&entries_[home(hash)]); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return entries_.size() * sizeof(Entry); }

  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Entry& entry : entries_) {
      if (!entry.holders.empty()) visit(entry.hash, entry.holders);
    }
  }

 private:
  struct Entry {
    std::uint64_t hash = 0;
    HolderSet holders;  // empty: the entry is free
  };
  static constexpr std::size_t kCapacityMin = 64;

  [[nodiscard]] std::size_t mask() const noexcept { return entries_.size() - 1; }
  [[nodiscard]] std::size_t home(std::uint64_t hash) const noexcept {
    const std::uint64_t mixed = (hash ^ seed_) * 0x9e3779b97f4a7c15ULL;
    return static_cast<std::size_t>(mixed ^ mixed >> 32) & mask();
  }
  [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask(); }
  void grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    for (Entry& entry : old) {
      if (entry.holders.empty()) continue;
      std::size_t i = home(entry.hash);
      while (!entries_[i].holders.empty()) i = next(i);
      entries_[i] = std::move(entry);
    }
  }

  std::uint64_t seed_;
  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace llmd
