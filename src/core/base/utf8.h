#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace llmd {

/// Code points of a UTF-8 text. Pre: it is well-formed; else the bytes that continue none are not counted.
[[nodiscard]] inline std::size_t code_points(std::string_view text) noexcept {
  const auto begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
}

/// Bytes of the UTF-8 character that begins the text; 0 if none does (overlong, surrogate, too large, cut). Pre: the
/// text is not empty.
[[nodiscard]] inline std::size_t utf8_character_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const auto continues = [&](std::size_t index) { return index < text.size() && (byte(index) & 0xC0U) == 0x80U; };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

/// The beginning of the text, of at most `bytes_max` bytes, in whole characters; what is no UTF-8 becomes '?'.
[[nodiscard]] inline std::string well_formed_beginning(std::string_view text, std::size_t bytes_max) {
  std::string value;
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    const std::string_view character = bytes == 0 ? std::string_view{"?"} : text.substr(0, bytes);
    if (value.size() + character.size() > bytes_max) break;
    value += character;
    text.remove_prefix(std::max<std::size_t>(1, bytes));
  }
  return value;
}

}  // namespace llmd
