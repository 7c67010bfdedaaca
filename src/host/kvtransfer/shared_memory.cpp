#include "kvtransfer/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace llmd::kvtransfer {
namespace {

std::unexpected<Error> io_error(std::string_view step, std::size_t bytes) {
  return fail(ErrorCode::kIo, fmt::format("{} of {} bytes of shared memory: {}", step, bytes, std::strerror(errno)));
}

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kProtocol, std::move(what), "the peer is no llmd worker");
}

}  // namespace

Result<SharedMemoryView> SharedMemoryView::map(const kvstore::FileDescriptor& fd, std::uint64_t bytes) {
  if (!fd) return refuse("shared memory was announced and did not come");
  if (bytes == 0 || bytes > kSharedBytesMax) {
    return refuse(fmt::format("shared memory of {} bytes; expected 1 to {}", bytes, kSharedBytesMax));
  }
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return refuse("shared memory that its owner can shrink");
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0 || info.st_size < static_cast<off_t>(bytes)) {
    return refuse(fmt::format("shared memory of {} bytes where {} were announced", info.st_size, bytes));
  }
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return io_error("mmap", bytes);
  return SharedMemoryView{kvstore::Mapping{memory, bytes}};
}

}  // namespace llmd::kvtransfer
