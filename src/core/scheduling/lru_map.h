#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <unordered_map>

namespace llmd::scheduling {

/// Values by 64-bit key, in the order of their last use. The owner bounds it: erase_oldest() while it is too large. Not
/// thread-safe. `Map` must be ordered (std::map) if clients choose the keys, as they could make a hash map's keys
/// collide; then an operation is O(log n), else O(1).
template <class Value, template <class...> class Map = std::unordered_map>
class LruMap {
 public:
  struct Entry {
    std::uint64_t key;
    Value value;
  };

  /// Not a use. Null if there is none. The pointer is good until the entry goes.
  [[nodiscard]] Value* find(std::uint64_t key) noexcept {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &found->second->value;
  }
  /// The newest use. Makes the value if there is none yet.
  Value& touch(std::uint64_t key) {
    const auto found = places_.find(key);
    if (found != places_.end()) {
      entries_.splice(entries_.end(), entries_, found->second);
      return found->second->value;
    }
    entries_.push_back({key, Value{}});
    places_.emplace(key, std::prev(entries_.end()));
    return entries_.back().value;
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Pre: size() > 0.
  [[nodiscard]] const Entry& oldest() const noexcept { return entries_.front(); }
  /// Pre: size() > 0.
  void erase_oldest() {
    places_.erase(entries_.front().key);
    entries_.pop_front();
  }
  /// Calls `visit(value)`, the oldest first.
  template <class Visit>
  void visit_oldest_first(Visit&& visit) noexcept {
    for (Entry& entry : entries_) visit(entry.value);
  }

 private:
  std::list<Entry> entries_;  // the oldest use first
  Map<std::uint64_t, typename std::list<Entry>::iterator> places_;
};

}  // namespace llmd::scheduling
