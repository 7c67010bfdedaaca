#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace llmd::openai {

/// A part of a chat's messages that is not text: image_url, audio_url, video_url or input_audio.
struct MediaPart {
  std::string raw;  // as JSON text
  std::string url;  // empty: its data stands in it
};

/// Those of all messages in their order, of one URL the first. At most `parts_max`: kInvalidRequest beyond. May grow
/// the body's capacity. Errors: also kInvalidJson.
[[nodiscard]] Result<std::vector<MediaPart>> media_parts(std::string& body, std::size_t parts_max);

}  // namespace llmd::openai
