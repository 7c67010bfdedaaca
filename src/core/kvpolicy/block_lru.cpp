#include "kvpolicy/block_lru.h"

namespace llmd::kvpolicy {

BlockLru::BlockLru(const BlockLru& other)
    : bytes_max_{other.bytes_max_},
      bytes_{other.bytes_},
      pinned_count_{other.pinned_count_},
      indexes_{other.indexes_},
      entries_{other.entries_},
      free_{other.free_},
      oldest_{other.oldest_},
      newest_{other.newest_} {
  free_.reserve(entries_.capacity());  // as in insert()
  for (const auto& [id, index] : indexes_) entries_[index].id = &id;
}

std::optional<BlockLru::Index> BlockLru::find(const BlockId& id) const noexcept {
  const auto found = indexes_.find(id);
  if (found == indexes_.end()) return std::nullopt;
  return found->second;
}

BlockLru::Index BlockLru::insert(const BlockId& id, std::optional<Index> parent, std::size_t bytes) {
  if (free_.empty()) {
    free_.push_back(static_cast<Index>(entries_.size()));
    entries_.emplace_back();
    free_.reserve(entries_.capacity());  // so that an eviction never allocates
  }
  const Index index = free_.back();
  const auto [place, added] = indexes_.emplace(id, index);
  if (!added) return place->second;
  free_.pop_back();
  entries_[index] = {.id = &place->first, .bytes = bytes, .parent = parent.value_or(kNone)};
  if (parent) ++entries_[*parent].children;
  bytes_ += bytes;
  list_newest(index);
  return index;
}

void BlockLru::touch(Index index) noexcept {
  unlist(index);
  list_newest(index);
}

void BlockLru::pin(Index index) noexcept {
  if (entries_[index].pins++ == 0) ++pinned_count_;
}

void BlockLru::unpin(Index index) noexcept {
  if (--entries_[index].pins > 0) return;
  --pinned_count_;
  touch(index);
}

std::optional<BlockLru::Victim> BlockLru::evict() {
  while (oldest_ != kNone) {
    const Index index = oldest_;
    unlist(index);
    if (evictable(entries_[index])) return remove(index);
  }
  return std::nullopt;
}

BlockLru::Victim BlockLru::remove(Index index) {
  Entry& entry = entries_[index];
  const Victim victim{.index = index, .id = *entry.id, .bytes = entry.bytes};
  if (entry.parent != kNone) {
    Entry& parent = entries_[entry.parent];
    --parent.children;
    if (evictable(parent) && !parent.listed) list_oldest(entry.parent);
  }
  bytes_ -= entry.bytes;
  entry = {};
  indexes_.erase(victim.id);
  free_.push_back(index);
  return victim;
}

void BlockLru::list_newest(Index index) noexcept {
  Entry& entry = entries_[index];
  entry.older = newest_;
  entry.newer = kNone;
  entry.listed = true;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
  newest_ = index;
}

void BlockLru::list_oldest(Index index) noexcept {
  Entry& entry = entries_[index];
  entry.older = kNone;
  entry.newer = oldest_;
  entry.listed = true;
  (oldest_ == kNone ? newest_ : entries_[oldest_].older) = index;
  oldest_ = index;
}

void BlockLru::unlist(Index index) noexcept {
  Entry& entry = entries_[index];
  if (!entry.listed) return;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  entry.listed = false;
}

bool BlockLru::check_integrity() const {
  std::size_t bytes = 0, pinned = 0, held = 0, listed = 0;
  std::vector<std::uint32_t> children(entries_.size(), 0);
  for (Index i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.id == nullptr) continue;
    if (find(*entry.id) != i || (evictable(entry) && !entry.listed)) return false;
    if (entry.parent != kNone && entries_[entry.parent].id == nullptr) return false;
    if (entry.parent != kNone) ++children[entry.parent];
    bytes += entry.bytes;
    pinned += entry.pins > 0 ? 1 : 0;
    listed += entry.listed ? 1 : 0;
    ++held;
  }
  for (Index i = 0; i < entries_.size(); ++i) {
    if (children[i] != entries_[i].children) return false;
  }
  std::size_t walked = 0;
  Index before = kNone;
  for (Index i = oldest_; i != kNone && walked <= listed; i = entries_[i].newer, ++walked) {
    if (!entries_[i].listed || entries_[i].older != before) return false;
    before = i;
  }
  return walked == listed && before == newest_ && bytes == bytes_ && bytes_ <= bytes_max_ && pinned == pinned_count_ &&
         held == indexes_.size() && held + free_.size() == entries_.size();
}

}  // namespace llmd::kvpolicy
