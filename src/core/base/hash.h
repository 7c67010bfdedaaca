#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace llmd {

/// xxHash64 with a seed. For indexes and routing hints; never for names of stored data (see Sha256).
[[nodiscard]] std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;
[[nodiscard]] std::uint64_t xxh64(std::string_view text, std::uint64_t seed = 0) noexcept;

/// XXH3-128's low 64 bits: the checksum of blocks in transit and at rest (about 20 GB/s).
[[nodiscard]] std::uint64_t checksum64(std::span<const std::byte> bytes) noexcept;

using Digest256 = std::array<std::uint8_t, 32>;

/// 64 lower-case hexadecimal digits, and back; no value if the text is anything else.
[[nodiscard]] std::string to_hex(const Digest256& digest);
[[nodiscard]] std::optional<Digest256> digest_from_hex(std::string_view text) noexcept;

/// SHA-256 in pieces, over OpenSSL's digest. One object for one thread; `finish` leaves it ready for the next message.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(std::span<const std::byte> bytes) noexcept;
  Sha256& update(std::string_view text) noexcept;
  [[nodiscard]] Digest256 finish() noexcept;

 private:
  void* context_;  // EVP_MD_CTX
};

}  // namespace llmd
