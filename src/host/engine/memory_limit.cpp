#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "engine/memory_plan.h"

namespace llmd::engine {
namespace {

constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

std::uint64_t machine_available(const std::filesystem::path& root) {
  std::ifstream file{root / "proc/meminfo"};
  for (std::string key; file >> key;) {
    std::uint64_t kibibytes = 0;
    if (key == "MemAvailable:" && file >> kibibytes) return kibibytes * 1'024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kUnknown;
}

std::optional<std::uint64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::uint64_t value = 0;
  if (file >> value) return value;
  return {};  // missing, or "max"
}

/// Bytes of files that the kernel keeps for the group and drops when it needs the memory: mapped weights among them.
std::uint64_t cached_in(const std::filesystem::path& group) {
  std::ifstream file{group / "memory.stat"};
  std::uint64_t cached = 0;
  std::string key;
  for (std::uint64_t value = 0; file >> key >> value;) {
    if (key == "active_file" || key == "inactive_file") cached += value;
  }
  return cached;
}

/// The tightest limit on the way up from this process's cgroup.
std::uint64_t cgroup_available(const std::filesystem::path& root) {
  std::ifstream file{root / "proc/self/cgroup"};
  std::uint64_t available = kUnknown;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("0::")) continue;
    const std::filesystem::path top = root / "sys/fs/cgroup";
    std::filesystem::path group = top / std::filesystem::path{line.substr(3)}.relative_path();
    while (group.string().size() >= top.string().size()) {
      const auto limit = number_in(group / "memory.max");
      const auto charged = number_in(group / "memory.current");
      if (limit && charged) {
        const std::uint64_t used = *charged - std::min(*charged, cached_in(group));
        available = std::min(available, *limit - std::min(*limit, used));
      }
      if (group == top) break;
      group = group.parent_path();
    }
  }
  return available;
}

/// What `ulimit -v` leaves of this process's address space.
std::uint64_t address_space_available(const std::filesystem::path& root) {
  rlimit limit{};
  const auto pages = number_in(root / "proc/self/statm");
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || !pages) return kUnknown;
  const std::uint64_t used = *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, used);
}

}  // namespace

std::uint64_t available_memory_bytes(const std::filesystem::path& root) {
  return std::min({machine_available(root), cgroup_available(root), address_space_available(root)});
}

}  // namespace llmd::engine
