#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace llmd::kvevents {

/// What libzmq holds of one socket's batches: those that the slowest consumer has not been sent. Of replays, a batch
/// counts as often as it was asked for.
struct Backlog {
  std::atomic<std::size_t> batches{0};
  std::atomic<std::size_t> bytes{0};
};

/// Where a batch goes.
enum class Way : std::uint8_t { kLive, kReplay };

/// By Way.
using Backlogs = std::array<std::shared_ptr<Backlog>, 2>;

/// One encoded batch; the replay buffer and messages inside libzmq share its bytes. Counted by hand, and not by
/// shared_ptr, since libzmq hands back one pointer. Thread-safe; never changed.
class Payload {
 public:
  Payload(std::uint64_t seq, std::string bytes, Backlogs backlogs) noexcept
      : seq_{seq}, bytes_{std::move(bytes)}, backlogs_{std::move(backlogs)} {}
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  [[nodiscard]] std::uint64_t seq() const noexcept { return seq_; }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

  void retain() noexcept { references_.fetch_add(1, std::memory_order_release); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// Before what another thread does with a reference that retain() took: libzmq's own hand-over is one that
  /// ThreadSanitizer does not see.
  void arrive() const noexcept { (void)references_.load(std::memory_order_acquire); }
  /// It is given to libzmq, for all subscribers or for one replay; until leave_backlog() it counts.
  void join_backlog(Way way) noexcept {
    backlog(way).batches.fetch_add(1, std::memory_order_relaxed);
    backlog(way).bytes.fetch_add(bytes_.size(), std::memory_order_relaxed);
  }
  void leave_backlog(Way way) noexcept {
    backlog(way).batches.fetch_sub(1, std::memory_order_relaxed);
    backlog(way).bytes.fetch_sub(bytes_.size(), std::memory_order_relaxed);
  }

 private:
  ~Payload() = default;
  [[nodiscard]] Backlog& backlog(Way way) const noexcept { return *backlogs_[static_cast<std::size_t>(way)]; }

  const std::uint64_t seq_;
  const std::string bytes_;
  const Backlogs backlogs_;
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
