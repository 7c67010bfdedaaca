#pragma once

#include <string_view>

#include "base/hash.h"

namespace llmd {

/// BLAKE2s-256 without key, over OpenSSL's digest: for protocols that choose by it.
[[nodiscard]] Digest256 blake2s256(std::string_view text) noexcept;

}  // namespace llmd
