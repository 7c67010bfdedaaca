#include "kvtransfer/shared_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

namespace llmd::kvtransfer {
namespace {

TEST(SharedMemory, ShowsWhatTheOwnerWritesAndLetsNobodyElseWrite) {
  auto owner = kvstore::SharedMemory::make(10'000);
  ASSERT_TRUE(owner.has_value()) << owner.error().to_string();
  const kvstore::FileDescriptor fd{::dup(owner->fd())};
  const auto view = SharedMemoryView::map(fd, 10'000);
  ASSERT_TRUE(view.has_value()) << view.error().to_string();
  owner->bytes()[9'999] = std::byte{7};
  EXPECT_EQ(view->bytes()[9'999], std::byte{7});
  EXPECT_NE(::mmap(nullptr, 4'096, PROT_READ, MAP_SHARED, fd.get(), 0), MAP_FAILED);
  EXPECT_EQ(::mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0), MAP_FAILED);
  EXPECT_NE(::ftruncate(fd.get(), 0), 0) << "a reader would be killed by SIGBUS";
}

TEST(SharedMemory, GivesItsPagesBackThoughAReaderStillMapsIt) {
  std::optional owner{*kvstore::SharedMemory::make(8 << 20U)};
  std::ranges::fill(owner->bytes(), std::byte{1});
  const kvstore::FileDescriptor fd{::dup(owner->fd())};
  const auto view = SharedMemoryView::map(fd, 8 << 20U);
  ASSERT_TRUE(view.has_value());
  owner.reset();
  struct stat info{};
  ASSERT_EQ(::fstat(fd.get(), &info), 0);
  EXPECT_EQ(info.st_blocks, 0);
  EXPECT_EQ(view->bytes()[0], std::byte{0}) << "reading is safe, and no checksum fits";
}

TEST(SharedMemory, RefusesMemoryThatCouldKillTheReader) {
  const kvstore::FileDescriptor can_shrink{::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  ASSERT_EQ(::ftruncate(can_shrink.get(), 4'096), 0);
  const kvstore::FileDescriptor no_memory{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  auto owner = kvstore::SharedMemory::make(4'096);
  ASSERT_TRUE(owner.has_value());
  const kvstore::FileDescriptor small{::dup(owner->fd())};
  const struct {
    std::string name;
    const kvstore::FileDescriptor& fd;
    std::uint64_t bytes;
  } cases[] = {
      {"can shrink", can_shrink, 4'096},         {"no memfd", no_memory, 4'096},
      {"smaller than announced", small, 4'097},  {"nothing", small, 0},
      {"too large", small, kSharedBytesMax + 1}, {"no descriptor", kvstore::FileDescriptor{}, 9},
  };
  for (const auto& row : cases) {
    const auto view = SharedMemoryView::map(row.fd, row.bytes);
    ASSERT_FALSE(view.has_value()) << row.name;
    EXPECT_EQ(view.error().code, ErrorCode::kProtocol) << row.name;
  }
}

}  // namespace
}  // namespace llmd::kvtransfer
