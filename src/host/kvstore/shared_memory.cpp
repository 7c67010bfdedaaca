#include "kvstore/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace llmd::kvstore {
namespace {

std::unexpected<Error> io_error(std::string_view step, std::size_t bytes) {
  return fail(ErrorCode::kIo, fmt::format("{} of {} bytes of shared memory: {}", step, bytes, std::strerror(errno)));
}

}  // namespace

Mapping::~Mapping() {
  if (memory_ != nullptr) ::munmap(memory_, bytes_);
}

Result<SharedMemory> SharedMemory::make(std::size_t bytes) {
  const FileDescriptor writable{::memfd_create("llmd-kv", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!writable) return io_error("memfd_create", bytes);
  if (::ftruncate(writable.get(), static_cast<off_t>(bytes)) != 0) return io_error("ftruncate", bytes);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, writable.get(), 0);
  if (memory == MAP_FAILED) return io_error("mmap", bytes);
  Mapping mapping{memory, bytes};
  // A reader whose memory shrinks is killed by SIGBUS.
  if (::fcntl(writable.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return io_error("sealing", bytes);
  }
  FileDescriptor readable{::open(fmt::format("/proc/self/fd/{}", writable.get()).c_str(), O_RDONLY | O_CLOEXEC)};
  if (!readable) return io_error("a read-only descriptor", bytes);
  return SharedMemory{std::move(readable), std::move(mapping)};
}

SharedMemory::~SharedMemory() {
  if (mapping_.data() != nullptr) ::madvise(mapping_.data(), mapping_.size(), MADV_REMOVE);
}

}  // namespace llmd::kvstore
