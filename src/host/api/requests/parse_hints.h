#pragma once

#include <string_view>

#include "model/media_estimate.h"

namespace llmd::api {

/// What is known of a body before it is read.
struct ParseHints {
  bool model_required = true;  // false: the model is chosen without the body, as by x-llm-d-model-name-rewrite
  VideoFacts video{};          // of each video of the prompt
  MediaEstimate media{};       // how many tokens media take: token-producer's
};

/// Takes one header into the hints: x-llm-d-video-duration-seconds, x-llm-d-video-fps and x-llm-d-video-resolution
/// (WxH). Others, and values that make no sense, change nothing. Pre: `name` is in lower case.
void take_hint(std::string_view name, std::string_view value, ParseHints& hints) noexcept;

}  // namespace llmd::api
