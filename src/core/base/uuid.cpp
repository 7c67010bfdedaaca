#include "base/uuid.h"

#include <fmt/format.h>

#include <cstdint>

namespace llmd {

std::string uuid4(Rng& rng) {
  const std::uint64_t high = (rng.next() & ~0xf000ULL) | 0x4000ULL;
  const std::uint64_t low = (rng.next() & ~(3ULL << 62U)) | (2ULL << 62U);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xffffU, high & 0xffffU,
                     low >> 48U, low & 0xffffffffffffULL);
}

}  // namespace llmd
