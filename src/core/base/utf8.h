#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace llmd {

/// Code points of a UTF-8 text. Pre: it is well-formed; else the bytes that continue none are not counted.
[[nodiscard]] inline std::size_t code_points(std::string_view text) noexcept {
  const auto begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

}  // namespace llmd
