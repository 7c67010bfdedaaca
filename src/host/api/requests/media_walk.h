#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "api/openai/routing_fields.h"
#include "api/requests/ondemand.h"
#include "api/requests/parse_hints.h"
#include "model/request_facts.h"

/// Finds what is not text in the messages of any protocol. Internal to api: it shows simdjson.
namespace llmd::api {

struct MediaWalk {
  const ParseHints& hints;
  std::vector<MediaItem>& media;
  std::vector<openai::PromptCut>& cuts;
  std::uint64_t tokens = 0;  // of the media found
};

inline constexpr std::size_t kMediaItemsMax = 4'096;              // of one request; further ones count as text
inline constexpr std::uint64_t kMediaTokensOfAllMax = 1U << 20U;  // of one request; then an item counts as one token

/// Walks messages, input items or content parts: OpenAI's image_url, input_image, video_url, audio_url and input_audio,
/// and Anthropic's image and document sources, at up to four levels of `content`. Keys with escapes are not known. Also
/// cuts out the text by which Claude Code tells each request of a session from the last.
[[nodiscard]] simdjson::error_code walk_media(od::array& list, MediaWalk& walk, int depth = 0);

/// Reads `features` of vLLM's generate: {"mm_hashes": {"image": ["..."]}, "mm_placeholders": {"image": [{"offset",
/// "length"}]}}.
[[nodiscard]] simdjson::error_code read_features(od::value value, std::vector<MediaItem>& media);

}  // namespace llmd::api
