#include "api/requests/parse_hints.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <system_error>

namespace llmd::api {
namespace {

template <class Number>
std::optional<Number> positive(std::string_view text) noexcept {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  Number value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || !(value > 0)) return {};
  return value;
}

}  // namespace

void take_hint(std::string_view name, std::string_view value, ParseHints& hints) noexcept {
  if (name == "x-llm-d-video-duration-seconds" || name == "x-llm-d-video-fps") {
    const auto number = positive<double>(value);
    if (number && std::isfinite(*number)) (name.ends_with("fps") ? hints.video.fps : hints.video.seconds) = *number;
  } else if (name == "x-llm-d-video-resolution") {
    const std::size_t cross = value.find_first_of("xX");
    if (cross == std::string_view::npos) return;
    const auto width = positive<std::uint32_t>(value.substr(0, cross));
    const auto height = positive<std::uint32_t>(value.substr(cross + 1));
    if (width && height) hints.video.resolution = Resolution{.width = *width, .height = *height};
  }
}

}  // namespace llmd::api
