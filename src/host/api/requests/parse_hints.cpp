#include "api/requests/parse_hints.h"

#include <charconv>
#include <cmath>
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
  if (name == "x-llm-d-video-duration-seconds") {
    const auto seconds = positive<float>(value);
    if (seconds && std::isfinite(*seconds)) hints.video_seconds = *seconds;
  } else if (name == "x-llm-d-video-resolution") {
    const std::size_t cross = value.find_first_of("xX");
    if (cross == std::string_view::npos) return;
    const auto width = positive<std::uint32_t>(value.substr(0, cross));
    const auto height = positive<std::uint32_t>(value.substr(cross + 1));
    if (!width || !height) return;
    hints.video_width = *width;
    hints.video_height = *height;
  }
}

}  // namespace llmd::api
