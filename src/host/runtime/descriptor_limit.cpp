#include "runtime/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>

namespace llmd {

void raise_descriptor_limit() noexcept {
  constexpr rlim_t kWanted = 65'536;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kWanted));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace llmd
