#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/hash.h"

namespace llmd::eppmetrics {

/// What belongs to the values of N labels, made when they are first seen. Looked up without allocating, under a lock
/// that readers share: about 50 ns. `Made` is a pointer or a shared_ptr. Beyond `entries_max` all share what belongs to
/// values that are "other". Thread-safe.
template <std::size_t N, class Made>
class SeriesMap {
 public:
  using Values = std::array<std::string_view, N>;

  explicit SeriesMap(std::size_t entries_max) : entries_max_{entries_max} {}

  /// Null if nobody has been here with these values.
  [[nodiscard]] Made find(const Values& values) const {
    const std::shared_lock lock{mutex_};
    const auto found = entries_.find(values);
    return found == entries_.end() ? Made{} : found->second;
  }

  /// `make(values)` is called under the lock, with the values that count.
  template <class Make>
  [[nodiscard]] Made find_or_make(Values values, Make&& make) {
    if (Made found = find(values)) return found;
    const std::scoped_lock lock{mutex_};
    if (entries_.size() >= entries_max_ && !entries_.contains(values)) values.fill("other");
    if (const auto found = entries_.find(values); found != entries_.end()) return found->second;
    Key key;
    for (std::size_t i = 0; i < N; ++i) key[i] = values[i];
    return entries_.emplace(std::move(key), make(values)).first->second;
  }

  /// Takes out those that `goes(key, made)` says; nobody is given one meanwhile.
  template <class Goes>
  void erase_if(Goes&& goes) {
    const std::scoped_lock lock{mutex_};
    std::erase_if(entries_, [&](const auto& entry) { return goes(entry.first, entry.second); });
  }

 private:
  using Key = std::array<std::string, N>;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const auto& values) const noexcept {
      std::uint64_t hash = 0;
      for (const std::string_view value : values) hash = xxh64(value, hash);
      return hash;
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const noexcept {
      for (std::size_t i = 0; i < N; ++i) {
        if (std::string_view{a[i]} != std::string_view{b[i]}) return false;
      }
      return true;
    }
  };

  const std::size_t entries_max_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<Key, Made, Hash, Equal> entries_;
};

}  // namespace llmd::eppmetrics
