#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/error.h"
#include "kvstore/file_descriptor.h"

namespace llmd::kvstore {

/// A mapping of memory that another process may see, too. Movable.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* memory, std::size_t bytes) noexcept : memory_{memory}, bytes_{bytes} {}
  Mapping(Mapping&& other) noexcept
      : memory_{std::exchange(other.memory_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  [[nodiscard]] std::byte* data() const noexcept { return static_cast<std::byte*>(memory_); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Memory that this process writes and others may read through a descriptor: a memfd without a name, so that nothing is
/// left behind when its processes are killed. Its size is sealed and the descriptor is read-only. Pages are taken as
/// they are written, and go back when the owner dies, whoever still maps them.
class SharedMemory {
 public:
  /// Error kIo.
  [[nodiscard]] static Result<SharedMemory> make(std::size_t bytes);
  SharedMemory(SharedMemory&&) noexcept = default;
  SharedMemory& operator=(SharedMemory&&) noexcept = default;
  ~SharedMemory();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {mapping_.data(), mapping_.size()}; }
  /// For other processes, read-only.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  SharedMemory(FileDescriptor fd, Mapping mapping) : fd_{std::move(fd)}, mapping_{std::move(mapping)} {}
  FileDescriptor fd_;
  Mapping mapping_;
};

}  // namespace llmd::kvstore
