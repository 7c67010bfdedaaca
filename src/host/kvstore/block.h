#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace llmd::kvstore {

struct Buffer;

/// A piece of memory that other processes may read; blocks lie in it one after the other.
struct SharedSlab {
  std::uint64_t id = 0;  // no other slab of this process has or had it
  int fd = -1;           // read-only, of a memfd whose size is sealed
  std::span<const std::byte> bytes;
};

/// Who gets a buffer back when the last handle on it goes. Called on the thread that dropped the handle.
class BufferOwner {
 public:
  virtual void on_unreferenced(Buffer& buffer) noexcept = 0;

 protected:
  ~BufferOwner() = default;
};

/// Memory of one block. `checksum` is checksum64 of its bytes once they are complete. `references` counts handles; the
/// owner never frees or rewrites a buffer that has any.
struct Buffer {
  std::span<std::byte> bytes;
  BufferOwner* owner = nullptr;
  std::atomic<std::uint32_t> references{0};
  std::uint64_t checksum = 0;
  const SharedSlab* slab = nullptr;  // null: other processes cannot read it
};

/// The bytes of one block, read-only. While a handle lives the bytes stay where they are and do not change, whatever
/// the store evicts, and even if the store is gone (its Budget must live). Copies cost one atomic increment; different
/// handles may be used by different threads, as with shared_ptr. 8 bytes.
class BlockHandle {
 public:
  BlockHandle() noexcept = default;
  /// Takes over one reference that the owner has already counted.
  explicit BlockHandle(Buffer* counted) noexcept : buffer_{counted} {}
  /// Bytes from outside a store, copied once to memory of their own. Empty if memory is short.
  [[nodiscard]] static BlockHandle copy_of(std::span<const std::byte> bytes) noexcept;

  BlockHandle(const BlockHandle& other) noexcept : buffer_{other.buffer_} {
    if (buffer_ != nullptr) buffer_->references.fetch_add(1, std::memory_order_relaxed);
  }
  BlockHandle(BlockHandle&& other) noexcept : buffer_{std::exchange(other.buffer_, nullptr)} {}
  BlockHandle& operator=(BlockHandle other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BlockHandle() {
    if (buffer_ != nullptr && buffer_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      buffer_->owner->on_unreferenced(*buffer_);
    }
  }

  [[nodiscard]] explicit operator bool() const noexcept { return buffer_ != nullptr; }
  /// Valid as long as this handle, or a copy of it, lives. Empty for an empty handle.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    return buffer_ == nullptr ? std::span<const std::byte>{} : std::span<const std::byte>{buffer_->bytes};
  }
  /// checksum64 of bytes(), made when the block was complete. Pre: not empty.
  [[nodiscard]] std::uint64_t checksum() const noexcept { return buffer_->checksum; }
  /// The memory in which other processes find bytes(); null if nowhere. Valid as long as bytes(). Pre: not empty.
  [[nodiscard]] const SharedSlab* slab() const noexcept { return buffer_->slab; }

 private:
  Buffer* buffer_ = nullptr;
};

}  // namespace llmd::kvstore
