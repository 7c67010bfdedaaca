#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace llmd {

/// A queue that takes no memory before its first element, as std::deque does, and one block after it. For queues that
/// are mostly empty, of which there are many. Constant time but for growth; bounds are its owner's.
template <class T>
class Fifo {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == all_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size() - first_; }

  void push_back(T value) {
    // What is done with makes room once it is as much as what is left.
    if (all_.size() == all_.capacity() && first_ > size()) {
      all_.erase(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    all_.push_back(std::move(value));
  }
  /// Pre: not empty, as for pop_front().
  [[nodiscard]] T& front() noexcept { return all_[first_]; }
  [[nodiscard]] const T& front() const noexcept { return all_[first_]; }
  T pop_front() {
    T value = std::move(all_[first_++]);
    if (empty()) clear();
    return value;
  }
  void clear() noexcept {
    all_.clear();
    first_ = 0;
  }

 private:
  std::vector<T> all_;
  std::size_t first_ = 0;  // those before are moved from
};

}  // namespace llmd
