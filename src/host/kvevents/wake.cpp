#include "kvevents/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace llmd::kvevents {

Wake::Wake() noexcept : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

Wake::~Wake() { ::close(fd_); }

void Wake::signal() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);  // a full counter is signalled already
}

void Wake::clear() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(fd_, &count, sizeof count);
}

}  // namespace llmd::kvevents
