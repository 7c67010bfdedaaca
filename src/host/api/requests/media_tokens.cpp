#include "api/requests/media_tokens.h"

#include <algorithm>
#include <array>

namespace llmd::api {
namespace {

constexpr std::array<std::int8_t, 256> make_digits() {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return digits;
}

/// Single bytes of what a base64 text stands for.
class Base64Bytes {
 public:
  explicit Base64Bytes(std::string_view text) noexcept : text_{text} {}

  /// 256 where there is none: equal to no byte that a format asks for.
  [[nodiscard]] std::uint32_t at(std::size_t index) const noexcept {
    constexpr std::uint32_t kNone = 256;
    constexpr std::array<std::int8_t, 256> kDigits = make_digits();
    const std::size_t first = index / 3 * 4 + index % 3;
    if (first + 1 >= text_.size()) return kNone;
    const int high = kDigits[static_cast<unsigned char>(text_[first])];
    const int low = kDigits[static_cast<unsigned char>(text_[first + 1])];
    if (high < 0 || low < 0) return kNone;
    const auto shift = 2 * (index % 3 + 1);
    return ((static_cast<std::uint32_t>(high) << shift) | (static_cast<std::uint32_t>(low) >> (6 - shift))) & 0xff;
  }
  [[nodiscard]] bool starts(std::size_t index, std::string_view bytes) const noexcept {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (at(index + i) != static_cast<unsigned char>(bytes[i])) return false;
    }
    return true;
  }
  [[nodiscard]] std::uint32_t byte(std::size_t index) const noexcept { return at(index) & 0xff; }  // 0 for none
  [[nodiscard]] std::uint32_t big16(std::size_t index) const noexcept { return byte(index) << 8 | byte(index + 1); }
  [[nodiscard]] std::uint32_t big32(std::size_t index) const noexcept { return big16(index) << 16 | big16(index + 2); }
  [[nodiscard]] std::uint32_t little16(std::size_t index) const noexcept { return byte(index + 1) << 8 | byte(index); }
  [[nodiscard]] std::uint32_t little24(std::size_t index) const noexcept {
    return byte(index + 2) << 16 | little16(index);
  }

 private:
  std::string_view text_;
};

/// Follows the segments up to the first that begins a frame.
std::optional<Resolution> jpeg_size(const Base64Bytes& bytes) noexcept {
  constexpr int kSegmentsMax = 64;
  std::size_t at = 2;
  for (int segment = 0; segment < kSegmentsMax && bytes.at(at) == 0xff; ++segment) {
    const std::uint32_t marker = bytes.at(at + 1);
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      return Resolution{.width = bytes.big16(at + 7), .height = bytes.big16(at + 5)};
    }
    at += 2 + bytes.big16(at + 2);
  }
  return {};
}

std::optional<Resolution> webp_size(const Base64Bytes& bytes) noexcept {
  if (bytes.starts(12, "VP8X")) return Resolution{.width = bytes.little24(24) + 1, .height = bytes.little24(27) + 1};
  if (bytes.starts(12, "VP8L")) {
    const std::uint32_t bits = bytes.little24(21) | bytes.byte(24) << 24;
    return Resolution{.width = (bits & 0x3fff) + 1, .height = (bits >> 14 & 0x3fff) + 1};
  }
  if (bytes.starts(12, "VP8 "))
    return Resolution{.width = bytes.little16(26) & 0x3fff, .height = bytes.little16(28) & 0x3fff};
  return {};
}

std::optional<Resolution> any_size(const Base64Bytes& bytes) noexcept {
  if (bytes.starts(0, "\x89PNG\r\n\x1a\n")) return Resolution{.width = bytes.big32(16), .height = bytes.big32(20)};
  if (bytes.starts(0, "GIF8")) return Resolution{.width = bytes.little16(6), .height = bytes.little16(8)};
  if (bytes.starts(0, "\xff\xd8")) return jpeg_size(bytes);
  if (bytes.starts(0, "RIFF") && bytes.starts(8, "WEBP")) return webp_size(bytes);
  return {};
}

}  // namespace

std::optional<Resolution> image_size(std::string_view base64) noexcept {
  const auto size = any_size(Base64Bytes{base64});
  if (!size || size->width == 0 || size->height == 0) return {};
  return size;
}

std::optional<Resolution> image_size_of_url(std::string_view url) noexcept {
  constexpr std::string_view kBase64 = "base64,";
  constexpr std::size_t kTypeBytesMax = 256;
  if (!url.starts_with("data:image/")) return {};
  const std::size_t at = url.substr(0, kTypeBytesMax).find(kBase64);
  return at != std::string_view::npos ? image_size(url.substr(at + kBase64.size())) : std::nullopt;
}

std::uint32_t audio_tokens(std::size_t text_bytes) noexcept {
  return static_cast<std::uint32_t>(std::clamp<std::size_t>((text_bytes + 3) / 4, 1, kMediaTokensMax));
}

}  // namespace llmd::api
