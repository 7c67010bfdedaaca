#include "profiling/cpu_profile.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <utility>

#include "profiling/sampler.h"
#include "telemetry/log.h"

namespace llmd {
namespace {

constexpr Duration kQuietWait = seconds{2};  // for threads that are within a sample

void append(std::span<const std::uintptr_t> words, std::string& out) {
  out.append(reinterpret_cast<const char*>(words.data()), words.size_bytes());
}

/// The legacy CPU profile of gperftools: a header, samples, an end mark, each in words of the machine, and then what is
/// mapped where, for the names of functions.
Result<std::string> as_profile(std::span<const std::uintptr_t> samples) {
  std::ifstream maps{"/proc/self/maps", std::ios::binary};
  const std::string mapped{std::istreambuf_iterator<char>{maps}, std::istreambuf_iterator<char>{}};
  if (mapped.empty()) return fail(ErrorCode::kIo, "cannot read what the process has mapped (/proc/self/maps)");
  constexpr auto kPeriod = static_cast<std::uintptr_t>(kCpuProfilePeriod.count());
  constexpr std::array<std::uintptr_t, 5> kHeader{0, 3, 0, kPeriod, 0};  // 0, words to come, version, µs, padding
  constexpr std::array<std::uintptr_t, 3> kEnd{0, 1, 0};
  std::string profile;
  profile.reserve(sizeof kHeader + samples.size_bytes() + sizeof kEnd + mapped.size());
  append(kHeader, profile);
  append(samples, profile);
  append(kEnd, profile);
  profile += mapped;
  return profile;
}

}  // namespace

Task<Result<std::string>> cpu_profile(Loop& loop, seconds duration) {
  if (duration < kCpuProfileMin || duration > kCpuProfileMax) {
    co_return fail(ErrorCode::kInvalidRequest, fmt::format("a CPU profile of {} s; expected {} to {}", duration.count(),
                                                           kCpuProfileMin.count(), kCpuProfileMax.count()));
  }
  LLMD_CO_TRY(const std::unique_ptr<Sampler> sampler, Sampler::start());
  log::info("taking a CPU profile of {} s on loop {}", duration.count(), loop.name());
  co_await sleep_for(duration);
  sampler->stop();
  const TimePoint deadline = SteadyClock::now() + kQuietWait;
  while (!Sampler::is_quiet()) {
    if (SteadyClock::now() >= deadline)
      co_return fail(ErrorCode::kDeadlineExceeded, "a thread hangs in the middle of a CPU profile's sample");
    co_await sleep_for(milliseconds{1});
  }
  if (sampler->dropped() > 0)
    log::warn("a CPU profile is full: its last {} samples are left out; ask for fewer seconds", sampler->dropped());
  co_return as_profile(sampler->words());
}

}  // namespace llmd
