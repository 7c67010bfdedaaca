#include "runtime/resource_use.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

namespace llmd {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

std::optional<double> cpu_seconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

std::optional<double> memory_share() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return std::nullopt;
  unsigned long size = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  if (read != 2 || pages <= 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(resident) / static_cast<double>(pages));
}

}  // namespace

ResourceUse::Shares ResourceUse::sample(TimePoint now) {
  Shares shares{.cpu = std::nullopt, .memory = memory_share()};
  const std::optional<double> used = cpu_seconds();
  const std::optional<double> before = std::exchange(cpu_seconds_, used);
  const double elapsed = to_seconds(now - std::exchange(sampled_at_, now));
  if (used && before && elapsed > 0)
    shares.cpu =
        std::clamp((*used - *before) / (elapsed * std::max(1U, std::thread::hardware_concurrency())), 0.0, 1.0);
  return shares;
}

}  // namespace llmd
