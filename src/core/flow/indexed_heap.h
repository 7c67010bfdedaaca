#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace llmd::flow {

/// A binary heap, smallest key first, whose entries can be found again: whoever owns the handles keeps, for each, the
/// entry's place, which the heap updates through `place(handle)`, a reference to a std::uint32_t. So a thousand small
/// heaps over one set of handles cost no table each. Equal keys come in no particular order: make them differ.
/// Cost: O(log n) a change, sizeof(Key) + 4 bytes an entry. Not thread-safe.
template <class Key>
class IndexedHeap {
 public:
  using Handle = std::uint32_t;
  struct Entry {
    Key key;
    Handle handle;
  };

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Pre: !empty(). Good until the next change.
  [[nodiscard]] const Entry& top() const noexcept { return entries_.front(); }
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

  /// Pre: the handle is not in the heap.
  template <class Place>
  void push(Handle handle, Key key, Place&& place) {
    entries_.push_back({key, handle});
    place(handle) = static_cast<std::uint32_t>(entries_.size() - 1);
    rise(entries_.size() - 1, place);
  }
  /// Pre: the handle is in the heap.
  template <class Place>
  void update(Handle handle, Key key, Place&& place) {
    const std::size_t at = place(handle);
    entries_[at].key = key;
    if (!rise(at, place)) sink(at, place);
  }
  /// Pre: the handle is in the heap.
  template <class Place>
  void erase(Handle handle, Place&& place) {
    const std::size_t at = place(handle);
    const Entry last = entries_.back();
    entries_.pop_back();
    if (at == entries_.size()) return;
    entries_[at] = last;
    place(last.handle) = static_cast<std::uint32_t>(at);
    if (!rise(at, place)) sink(at, place);
  }

 private:
  template <class Place>
  void swap_entries(std::size_t a, std::size_t b, Place&& place) {
    std::swap(entries_[a], entries_[b]);
    place(entries_[a].handle) = static_cast<std::uint32_t>(a);
    place(entries_[b].handle) = static_cast<std::uint32_t>(b);
  }
  /// Whether it moved.
  template <class Place>
  bool rise(std::size_t at, Place&& place) {
    bool moved = false;
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!(entries_[at].key < entries_[parent].key)) break;
      swap_entries(at, parent, place);
      at = parent;
      moved = true;
    }
    return moved;
  }
  template <class Place>
  void sink(std::size_t at, Place&& place) {
    while (true) {
      std::size_t least = 2 * at + 1;
      if (least >= entries_.size()) return;
      if (least + 1 < entries_.size() && entries_[least + 1].key < entries_[least].key) ++least;
      if (!(entries_[least].key < entries_[at].key)) return;
      swap_entries(at, least, place);
      at = least;
    }
  }

  std::vector<Entry> entries_;
};

}  // namespace llmd::flow
