#include "kvstore/block.h"

#include <algorithm>
#include <memory>
#include <new>

#include "base/hash.h"

namespace llmd::kvstore {
namespace {

/// Frees buffers that belong to no store.
class HeapOwner final : public BufferOwner {
 public:
  void on_unreferenced(Buffer& buffer) noexcept override {
    delete[] buffer.bytes.data();
    delete &buffer;
  }
};

HeapOwner heap_owner;

}  // namespace

BlockHandle BlockHandle::copy_of(std::span<const std::byte> bytes) noexcept {
  std::unique_ptr<std::byte[]> memory{new (std::nothrow) std::byte[bytes.size()]};
  std::unique_ptr<Buffer> buffer{new (std::nothrow) Buffer};
  if (!memory || !buffer) return {};
  std::copy(bytes.begin(), bytes.end(), memory.get());
  buffer->checksum = checksum64(bytes);
  buffer->bytes = {memory.release(), bytes.size()};
  buffer->owner = &heap_owner;
  buffer->references.store(1, std::memory_order_relaxed);
  return BlockHandle{buffer.release()};
}

}  // namespace llmd::kvstore
