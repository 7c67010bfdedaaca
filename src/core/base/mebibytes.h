#pragma once

#include <cstdint>
#include <string>

namespace llmd {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

/// "12 MiB", rounded up: what is needed.
[[nodiscard]] inline std::string in_mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes / kMiB + (bytes % kMiB == 0 ? 0 : 1)) + " MiB";
}

/// The same, rounded down: what is there.
[[nodiscard]] inline std::string in_whole_mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes / kMiB) + " MiB";
}

}  // namespace llmd
