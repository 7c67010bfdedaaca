#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmd {

/// The (block, endpoint) pairs of a PrefixIndex: for each endpoint a list from its newest to its oldest use, and a
/// table that finds a pair. 24 bytes a pair and 4 in the table at a load of 3/8 to 3/4. Pairs are named by number; a
/// number stays valid until its pair is removed. Not thread-safe.
class UseLists {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Pair {
    std::uint64_t hash = 0;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
    std::uint32_t stamp = 0;  // of the last use; wraps
    std::uint16_t slot = 0;
  };
  struct List {
    std::uint32_t newest = kNone;
    std::uint32_t oldest = kNone;
    std::uint32_t count = 0;
  };

  explicit UseLists(std::uint64_t seed) : seed_{seed}, table_(kCapacityMin, kNone) {}

  [[nodiscard]] std::uint32_t find(std::uint64_t hash, std::uint16_t slot) const noexcept;
  /// Adds a pair as the newest of its endpoint. Pre: it is not there.
  void add(std::uint64_t hash, std::uint16_t slot, std::uint32_t stamp);
  /// Makes the pair its endpoint's newest.
  void touch(std::uint32_t pair, std::uint32_t stamp) noexcept;
  void remove(std::uint32_t pair) noexcept;

  [[nodiscard]] const Pair& pair(std::uint32_t number) const noexcept { return pairs_[number]; }
  /// Of a slot below slots().
  [[nodiscard]] const List& list(std::uint16_t slot) const noexcept { return lists_[slot]; }
  [[nodiscard]] std::size_t slots() const noexcept { return lists_.size(); }
  void add_slot() { lists_.emplace_back(); }

  [[nodiscard]] std::size_t size() const noexcept { return pairs_.size() - free_count_; }
  /// Whether the next add() takes the place of a removed pair.
  [[nodiscard]] bool has_free() const noexcept { return free_count_ != 0; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    return pairs_.capacity() * sizeof(Pair) + table_.capacity() * sizeof(std::uint32_t) +
           lists_.capacity() * sizeof(List);
  }
  [[nodiscard]] bool check_integrity() const;

 private:
  static constexpr std::size_t kCapacityMin = 64;

  [[nodiscard]] std::size_t mask() const noexcept { return table_.size() - 1; }
  [[nodiscard]] std::size_t home(std::uint64_t hash, std::uint16_t slot) const noexcept;
  [[nodiscard]] std::size_t home(std::uint32_t pair) const noexcept {
    return home(pairs_[pair].hash, pairs_[pair].slot);
  }
  void link_newest(std::uint32_t pair) noexcept;
  void unlink(std::uint32_t pair) noexcept;
  void table_insert(std::uint32_t pair) noexcept;
  void table_erase(std::uint32_t pair) noexcept;
  void reserve_one();

  std::uint64_t seed_;
  std::vector<Pair> pairs_;
  std::uint32_t free_ = kNone;  // removed pairs, chained by `older`
  std::size_t free_count_ = 0;
  std::vector<std::uint32_t> table_;
  std::vector<List> lists_;
};

}  // namespace llmd
