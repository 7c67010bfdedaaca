#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/requests/parse_hints.h"

/// How many tokens media of a prompt take, by llm-d's estimate: an image a token for each 1,024 pixels, a video the
/// same for each of two frames a second, audio one for four bytes of its text.
namespace llmd::api {

inline constexpr std::uint32_t kMediaTokensMax = 262'144;  // of one item, whatever its header claims

struct ImageSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// Reads the size out of the first bytes of a PNG, GIF, JPEG or WebP file in base64. Nothing if it is none of these.
/// Looks at no more than some hundred bytes, wherever they stand.
[[nodiscard]] std::optional<ImageSize> image_size(std::string_view base64) noexcept;

/// Of a URL; only one of the form data:image/...;base64,... tells its size, others count as 640 x 360.
[[nodiscard]] std::uint32_t image_tokens_of_url(std::string_view url) noexcept;
[[nodiscard]] std::uint32_t image_tokens_of_base64(std::string_view base64) noexcept;
[[nodiscard]] std::uint32_t video_tokens(const ParseHints& hints) noexcept;
[[nodiscard]] std::uint32_t audio_tokens(std::size_t text_bytes) noexcept;

}  // namespace llmd::api
