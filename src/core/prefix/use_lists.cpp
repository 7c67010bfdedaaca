#include "prefix/use_lists.h"

#include <algorithm>

namespace llmd {

std::size_t UseLists::home(std::uint64_t hash, std::uint16_t slot) const noexcept {
  const std::uint64_t mixed = (hash ^ seed_ ^ (slot * 0xff51afd7ed558ccdULL)) * 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>(mixed ^ mixed >> 32) & mask();
}

std::uint32_t UseLists::find(std::uint64_t hash, std::uint16_t slot) const noexcept {
  for (std::size_t i = home(hash, slot); table_[i] != kNone; i = (i + 1) & mask()) {
    const Pair& candidate = pairs_[table_[i]];
    if (candidate.hash == hash && candidate.slot == slot) return table_[i];
  }
  return kNone;
}

void UseLists::add(std::uint64_t hash, std::uint16_t slot, std::uint32_t stamp) {
  reserve_one();
  std::uint32_t number = free_;
  if (number != kNone) {
    free_ = pairs_[number].older;
    --free_count_;
  } else {
    number = static_cast<std::uint32_t>(pairs_.size());
    pairs_.emplace_back();
  }
  pairs_[number] = Pair{.hash = hash, .newer = kNone, .older = kNone, .stamp = stamp, .slot = slot};
  link_newest(number);
  table_insert(number);
}

void UseLists::touch(std::uint32_t pair, std::uint32_t stamp) noexcept {
  pairs_[pair].stamp = stamp;
  if (lists_[pairs_[pair].slot].newest == pair) return;
  unlink(pair);
  link_newest(pair);
}

void UseLists::remove(std::uint32_t pair) noexcept {
  table_erase(pair);
  unlink(pair);
  pairs_[pair].older = free_;
  free_ = pair;
  ++free_count_;
}

void UseLists::link_newest(std::uint32_t pair) noexcept {
  List& list = lists_[pairs_[pair].slot];
  pairs_[pair].newer = kNone;
  pairs_[pair].older = list.newest;
  if (list.newest != kNone) pairs_[list.newest].newer = pair;
  list.newest = pair;
  if (list.oldest == kNone) list.oldest = pair;
  ++list.count;
}

void UseLists::unlink(std::uint32_t pair) noexcept {
  const Pair& self = pairs_[pair];
  List& list = lists_[self.slot];
  if (self.newer != kNone) pairs_[self.newer].older = self.older;
  if (self.older != kNone) pairs_[self.older].newer = self.newer;
  if (list.newest == pair) list.newest = self.older;
  if (list.oldest == pair) list.oldest = self.newer;
  --list.count;
}

void UseLists::table_insert(std::uint32_t pair) noexcept {
  std::size_t i = home(pair);
  while (table_[i] != kNone) i = (i + 1) & mask();
  table_[i] = pair;
}

void UseLists::table_erase(std::uint32_t pair) noexcept {
  std::size_t hole = home(pair);
  while (table_[hole] != pair) hole = (hole + 1) & mask();
  for (std::size_t i = (hole + 1) & mask(); table_[i] != kNone; i = (i + 1) & mask()) {
    // An entry may move back into the hole unless its home lies after the hole.
    if (((i - home(table_[i])) & mask()) < ((i - hole) & mask())) continue;
    table_[hole] = table_[i];
    hole = i;
  }
  table_[hole] = kNone;
}

void UseLists::reserve_one() {
  // Grown by a half, so that unused room stays below what the index charges for a pair.
  if (free_ == kNone && pairs_.size() == pairs_.capacity())
    pairs_.reserve(std::max<std::size_t>(64, pairs_.size() * 3 / 2));
  if ((size() + 1) * 4 <= table_.size() * 3) return;
  const std::vector<std::uint32_t> old = std::move(table_);
  table_ = std::vector<std::uint32_t>(old.size() * 2, kNone);
  for (const std::uint32_t pair : old) {
    if (pair != kNone) table_insert(pair);
  }
}

bool UseLists::check_integrity() const {
  std::size_t linked = 0;
  for (std::size_t slot = 0; slot < lists_.size(); ++slot) {
    std::uint32_t newer = kNone;
    std::uint32_t count = 0;
    for (std::uint32_t i = lists_[slot].newest; i != kNone; i = pairs_[i].older) {
      if (pairs_[i].slot != slot || pairs_[i].newer != newer || find(pairs_[i].hash, pairs_[i].slot) != i) return false;
      if (++count > pairs_.size()) return false;
      newer = i;
    }
    if (lists_[slot].oldest != newer || lists_[slot].count != count) return false;
    linked += count;
  }
  const auto in_table =
      static_cast<std::size_t>(std::count_if(table_.begin(), table_.end(), [](std::uint32_t n) { return n != kNone; }));
  return linked == size() && in_table == size();
}

}  // namespace llmd
