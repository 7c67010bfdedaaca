#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace llmd {

/// A byte budget that growing containers draw on. Thread-safe, lock-free; the name shows in errors and as a metric
/// label. It must outlive every Charge made from it.
class Budget {
 public:
  Budget(std::string name, std::size_t limit_bytes) : name_{std::move(name)}, limit_bytes_{limit_bytes} {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Takes `bytes` if they fit; false and no change otherwise.
  [[nodiscard]] bool try_charge(std::size_t bytes) noexcept {
    std::size_t used = used_bytes_.load(std::memory_order_relaxed);
    do {
      if (bytes > limit_bytes_ || used > limit_bytes_ - bytes) {
        refusals_.fetch_add(1, std::memory_order_relaxed);
        return false;
      }
    } while (!used_bytes_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void release(std::size_t bytes) noexcept { used_bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::size_t limit_bytes() const noexcept { return limit_bytes_; }
  [[nodiscard]] std::size_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }
  /// How often a charge was refused since the start.
  [[nodiscard]] std::size_t refusals() const noexcept { return refusals_.load(std::memory_order_relaxed); }

 private:
  std::string name_;
  std::size_t limit_bytes_;
  std::atomic<std::size_t> used_bytes_{0};
  std::atomic<std::size_t> refusals_{0};
};

/// Bytes held from a Budget, given back at destruction. Movable, empty after a move.
class Charge {
 public:
  Charge() = default;
  /// Empty (false) if the budget refuses.
  Charge(Budget& budget, std::size_t bytes) noexcept {
    if (budget.try_charge(bytes)) {
      budget_ = &budget;
      bytes_ = bytes;
    }
  }
  Charge(Charge&& other) noexcept
      : budget_{std::exchange(other.budget_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_ != nullptr) budget_->release(bytes_);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return budget_ != nullptr; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  Budget* budget_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace llmd
