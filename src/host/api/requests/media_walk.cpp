#include "api/requests/media_walk.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "api/requests/media_tokens.h"
#include "base/hash.h"

namespace llmd::api {
namespace {

constexpr int kLevelsMax = 4;
constexpr std::string_view kVaryingText = "x-anthropic-billing-header";

void add(MediaWalk& walk, std::string_view text, std::uint32_t tokens) {
  if (text.empty() || walk.media.size() >= kMediaItemsMax) return;
  tokens = std::min(tokens, kMediaTokensMax);
  if (walk.tokens + tokens > kMediaTokensOfAllMax) tokens = 1;
  walk.tokens += tokens;
  const std::uint64_t hash = xxh64(text);
  walk.media.push_back({.hash = hash, .weight = tokens});
  walk.cuts.push_back({.text = text, .hash = hash, .tokens = tokens});
}

/// The string of a value, or of one of the members of an object.
struct Source {
  std::string_view url;
  std::string_view data;
  std::string_view format;
  std::string_view type;
};

simdjson::error_code read_source(od::value& value, Source& source) {
  if (has_type(value, od::json_type::string)) {
    source.url = string_text(value);
    return simdjson::SUCCESS;
  }
  if (!has_type(value, od::json_type::object)) return simdjson::SUCCESS;
  od::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    od::value inner = field.value();
    if (!has_type(inner, od::json_type::string)) continue;
    const std::string_view text = string_text(inner);
    if (field.key() == "url") source.url = text;
    if (field.key() == "data") source.data = text;
    if (field.key() == "format") source.format = text;
    if (field.key() == "type") source.type = text;
  }
  return simdjson::SUCCESS;
}

simdjson::error_code walk_content(od::value& value, MediaWalk& walk, int depth) {
  if (depth + 1 >= kLevelsMax || !has_type(value, od::json_type::array)) return simdjson::SUCCESS;
  od::array list;
  if (const auto error = value.get_array().get(list)) return error;
  return walk_media(list, walk, depth + 1);
}

simdjson::error_code walk_field(const od::raw_json_string& key, od::value value, MediaWalk& walk, int depth) {
  if (key == "content") return walk_content(value, walk, depth);
  if (key == "text") {
    if (!has_type(value, od::json_type::string)) return simdjson::SUCCESS;
    const std::string_view text = string_text(value);
    if (text.starts_with(kVaryingText) && walk.cuts.size() < 2 * kMediaItemsMax)
      walk.cuts.push_back({.text = text, .hash = 0, .tokens = 0});
    return simdjson::SUCCESS;
  }
  const bool image = key == "image_url";
  const bool video = key == "video_url";
  const bool audio = key == "input_audio" || key == "audio_url";
  const bool source_of_part = key == "source";
  if (!image && !video && !audio && !source_of_part) return simdjson::SUCCESS;
  Source source;
  if (const auto error = read_source(value, source)) return error;
  const std::string_view text = source.url.empty() ? source.data : source.url;
  const PictureEstimate& picture = walk.hints.media.image;
  if (image) add(walk, text, image_tokens(picture, image_size_of_url(text)));
  if (video) add(walk, text, video_tokens(walk.hints.media.video, walk.hints.video));
  if (audio) add(walk, text, audio_tokens(text.size() + source.format.size()));
  if (source_of_part && source.type != "text") {
    add(walk, text, image_tokens(picture, source.url.empty() ? image_size(text) : image_size_of_url(text)));
  }
  return simdjson::SUCCESS;
}

}  // namespace

simdjson::error_code walk_media(od::array& list, MediaWalk& walk, int depth) {
  for (auto item : list) {
    od::value element;
    if (const auto error = std::move(item).get(element)) return error;
    if (!has_type(element, od::json_type::object)) continue;
    od::object object;
    if (const auto error = element.get_object().get(object)) return error;
    for (auto member : object) {
      od::field field;
      if (const auto error = std::move(member).get(field)) return error;
      if (const auto error = walk_field(field.key(), field.value(), walk, depth)) return error;
    }
  }
  return simdjson::SUCCESS;
}

namespace {

/// What one of the two maps says of one item.
struct Feature {
  std::string_view modality;
  std::size_t index = 0;
  std::uint64_t value = 0;
};

simdjson::error_code length_of(od::value& value, std::uint64_t& length) {
  od::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    od::value inner = field.value();
    if (field.key() == "length" && is_number(inner) && inner.get_uint64().get(length) != simdjson::SUCCESS) length = 0;
  }
  return simdjson::SUCCESS;
}

/// {"image": [...], ...}
simdjson::error_code read_map(od::value value, std::vector<Feature>& features) {
  if (!has_type(value, od::json_type::object)) return simdjson::SUCCESS;
  od::object map;
  if (const auto error = value.get_object().get(map)) return error;
  for (auto item : map) {
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    std::string_view modality;
    if (const auto error = field.unescaped_key().get(modality)) return error;
    od::value inner = field.value();
    if (!has_type(inner, od::json_type::array)) continue;
    od::array list;
    if (const auto error = inner.get_array().get(list)) return error;
    std::size_t index = 0;
    for (auto element : list) {
      od::value entry;
      if (const auto error = std::move(element).get(entry)) return error;
      Feature feature{.modality = modality, .index = index++, .value = 0};
      if (has_type(entry, od::json_type::string)) {
        feature.value = xxh64(string_text(entry));
      } else if (has_type(entry, od::json_type::object)) {
        if (const auto error = length_of(entry, feature.value)) return error;
      }
      features.push_back(feature);
    }
  }
  return simdjson::SUCCESS;
}

}  // namespace

simdjson::error_code read_features(od::value value, std::vector<MediaItem>& media) {
  if (!has_type(value, od::json_type::object)) return simdjson::SUCCESS;
  std::vector<Feature> hashes;
  std::vector<Feature> lengths;
  od::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    if (field.key() == "mm_hashes") {
      if (const auto error = read_map(field.value(), hashes)) return error;
    } else if (field.key() == "mm_placeholders") {
      if (const auto error = read_map(field.value(), lengths)) return error;
    }
  }
  const auto before = [](const Feature& a, const Feature& b) {
    return std::pair{a.modality, a.index} < std::pair{b.modality, b.index};
  };
  std::sort(lengths.begin(), lengths.end(), before);
  media.clear();
  for (const Feature& hash : hashes) {
    const auto length = std::lower_bound(lengths.begin(), lengths.end(), hash, before);
    const bool known = length != lengths.end() && !before(hash, *length);
    const std::uint64_t tokens = known ? length->value : 1;
    media.push_back({.hash = hash.value,
                     .weight = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(tokens, 1, kMediaTokensMax))});
  }
  return simdjson::SUCCESS;
}

}  // namespace llmd::api
