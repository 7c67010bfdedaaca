#pragma once

#include <cstdint>
#include <string>

namespace llmd {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

/// "12 MiB", rounded up: never less than what is meant.
[[nodiscard]] inline std::string in_mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes / kMiB + (bytes % kMiB == 0 ? 0 : 1)) + " MiB";
}

}  // namespace llmd
