#pragma once

#include <cstdint>
#include <string_view>

namespace llmd::api {

/// What a request's headers say of its body.
struct ParseHints {
  bool model_required = true;  // false: the model is chosen without the body, as by x-llm-d-model-name-rewrite
  float video_seconds = 10;    // what a video is taken for, unless x-llm-d-video-* headers tell
  std::uint32_t video_width = 640;
  std::uint32_t video_height = 360;
};

/// Takes one header into the hints; others than x-llm-d-video-duration-seconds and x-llm-d-video-resolution (WxH) and
/// values that make no sense change nothing. Pre: `name` is in lower case.
void take_hint(std::string_view name, std::string_view value, ParseHints& hints) noexcept;

}  // namespace llmd::api
