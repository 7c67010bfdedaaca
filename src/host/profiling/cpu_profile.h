#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/error.h"
#include "runtime/loop.h"

namespace llmd {

inline constexpr seconds kCpuProfileMin{1};
inline constexpr seconds kCpuProfileMax{60};
inline constexpr microseconds kCpuProfilePeriod{10'000};  // of CPU time of the whole process, between samples
inline constexpr std::size_t kCpuProfileBytesMax = std::size_t{32} << 20;  // of samples; further ones are left out

/// Where the process spends its CPU time from now on: a sample of the running thread's stack each 10 ms of CPU time,
/// of all threads together. The bytes are pprof's legacy CPU profile, which `go tool pprof` and `google-pprof` read
/// beside the binary. Any loop of the process may ask; one profile is taken at a time. Waits that `duration`.
///
/// Costs nothing before, some microseconds a sample meanwhile, and afterwards a signal handler that is never called.
/// Returns early, with what there is, if the loop stops. Errors: kInvalidRequest (duration out of range), kOverloaded
/// (another one is being taken), kOutOfMemory, kIo (the kernel refuses a timer, or to show the process's mappings),
/// kDeadlineExceeded (a thread hangs in the middle of a sample).
[[nodiscard]] Task<Result<std::string>> cpu_profile(Loop& loop, seconds duration);

}  // namespace llmd
