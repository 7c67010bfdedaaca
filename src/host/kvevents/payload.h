#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace llmd::kvevents {

/// What libzmq holds of one socket's batches: those that the slowest consumer has not been sent.
struct Backlog {
  std::atomic<std::size_t> batches{0};
  std::atomic<std::size_t> bytes{0};
};

/// One encoded batch; the replay buffer and messages inside libzmq share its bytes. Counted by hand, and not by
/// shared_ptr, since libzmq hands back one pointer. Thread-safe; never changed.
class Payload {
 public:
  Payload(std::uint64_t seq, std::string bytes, std::shared_ptr<Backlog> backlog) noexcept
      : seq_{seq}, bytes_{std::move(bytes)}, backlog_{std::move(backlog)} {}
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  [[nodiscard]] std::uint64_t seq() const noexcept { return seq_; }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// It is given to all consumers, once; until left() it counts as backlog.
  void join_backlog() noexcept {
    backlog_->batches.fetch_add(1, std::memory_order_relaxed);
    backlog_->bytes.fetch_add(bytes_.size(), std::memory_order_relaxed);
  }
  void leave_backlog() noexcept {
    backlog_->batches.fetch_sub(1, std::memory_order_relaxed);
    backlog_->bytes.fetch_sub(bytes_.size(), std::memory_order_relaxed);
  }

 private:
  ~Payload() = default;
  const std::uint64_t seq_;
  const std::string bytes_;
  const std::shared_ptr<Backlog> backlog_;
  std::atomic<std::uint32_t> references_{1};
};

/// Holds one reference.
class PayloadHandle {
 public:
  /// Takes over the reference that a new Payload has.
  explicit PayloadHandle(Payload* counted) noexcept : payload_{counted} {}
  PayloadHandle(PayloadHandle&& other) noexcept : payload_{std::exchange(other.payload_, nullptr)} {}
  PayloadHandle& operator=(PayloadHandle&& other) noexcept {
    std::swap(payload_, other.payload_);
    return *this;
  }
  ~PayloadHandle() {
    if (payload_ != nullptr) payload_->release();
  }
  [[nodiscard]] Payload& operator*() const noexcept { return *payload_; }
  [[nodiscard]] Payload* operator->() const noexcept { return payload_; }

 private:
  Payload* payload_;
};

}  // namespace llmd::kvevents
