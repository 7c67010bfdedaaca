#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "model/media_estimate.h"

/// How many tokens the media of a prompt take.
namespace llmd::api {

inline constexpr std::uint32_t kMediaTokensMax = 262'144;  // of one item, whatever its header claims

/// Reads the size out of the first bytes of a PNG, GIF, JPEG or WebP file in base64. Nothing if it is none of these.
/// Looks at no more than some hundred bytes, wherever they stand.
[[nodiscard]] std::optional<Resolution> image_size(std::string_view base64) noexcept;
/// The same of a URL of the form data:image/...;base64,...
[[nodiscard]] std::optional<Resolution> image_size_of_url(std::string_view url) noexcept;

/// llm-d's estimate: a token for four bytes of the sound's text.
[[nodiscard]] std::uint32_t audio_tokens(std::size_t text_bytes) noexcept;

}  // namespace llmd::api
