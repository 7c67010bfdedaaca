#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/error.h"
#include "kvstore/file_descriptor.h"
#include "kvstore/shared_memory.h"

namespace llmd::kvtransfer {

inline constexpr std::uint64_t kSharedBytesMax = std::uint64_t{64} << 30U;  // of one memory; address space only

/// Memory of a holder, read-only. Its owner may write while we read.
class SharedMemoryView {
 public:
  /// Error kProtocol: no memory of that size whose size is fixed; reading one that can shrink could end this process.
  [[nodiscard]] static Result<SharedMemoryView> map(const kvstore::FileDescriptor& fd, std::uint64_t bytes);
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {mapping_.data(), mapping_.size()}; }

 private:
  explicit SharedMemoryView(kvstore::Mapping mapping) : mapping_{std::move(mapping)} {}
  kvstore::Mapping mapping_;
};

}  // namespace llmd::kvtransfer
