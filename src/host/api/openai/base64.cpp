#include "api/openai/base64.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace llmd::openai {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> digits() {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kDigits = digits();

std::uint8_t digit_of(char letter) { return kDigits[static_cast<unsigned char>(letter)]; }

}  // namespace

std::string encode_base64(std::span<const std::byte> bytes) {
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 3, at += 4) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = std::to_integer<std::uint32_t>(bytes[i]) << 16U;
    if (left > 1) group |= std::to_integer<std::uint32_t>(bytes[i + 1]) << 8U;
    if (left > 2) group |= std::to_integer<std::uint32_t>(bytes[i + 2]);
    out[at] = kAlphabet[group >> 18U];
    out[at + 1] = kAlphabet[(group >> 12U) & 63U];
    if (left > 1) out[at + 2] = kAlphabet[(group >> 6U) & 63U];
    if (left > 2) out[at + 3] = kAlphabet[group & 63U];
  }
  return out;
}

std::optional<std::vector<std::byte>> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::vector<std::byte> out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t letters = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::uint8_t digit = k < letters ? digit_of(text[i + k]) : std::uint8_t{0};
      if (digit == kNoDigit) return std::nullopt;
      group = (group << 6U) | digit;
    }
    for (std::size_t k = 0; k + 1 < letters; ++k) out.push_back(static_cast<std::byte>(group >> (16U - 8U * k)));
  }
  return out;
}

}  // namespace llmd::openai
