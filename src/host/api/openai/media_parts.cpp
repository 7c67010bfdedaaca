#include "api/openai/media_parts.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "api/openai/body_edits.h"
#include "api/openai/first_choice.h"

namespace llmd::openai {
namespace {

namespace od = simdjson::ondemand;

constexpr std::array<std::string_view, 4> kTypes{"image_url", "audio_url", "video_url", "input_audio"};

/// The objects of an array as they stand; what else is in it is passed over.
Result<std::vector<std::string>> objects_of(std::string_view raw_array) {
  std::vector<std::string> objects;
  if (!raw_array.starts_with('[')) return objects;
  const simdjson::padded_string padded{raw_array};
  od::parser parser;
  od::document document;
  od::array array;
  const auto broken = [] { return fail(ErrorCode::kInvalidJson, "messages are not valid JSON"); };
  if (parser.iterate(padded).get(document) || document.get_array().get(array)) return broken();
  for (auto item : array) {
    od::value value;
    if (std::move(item).get(value)) return broken();
    od::json_type type{};
    if (value.type().get(type)) return broken();
    if (type != od::json_type::object) continue;
    od::object object;
    std::string_view raw;
    if (value.get_object().get(object) || object.raw_json().get(raw)) return broken();
    objects.emplace_back(raw);
  }
  return objects;
}

/// The part, if it is one.
Result<std::optional<MediaPart>> media_part(std::string raw) {
  std::string json = raw;
  LLMD_TRY(const std::vector<RawMember> members, raw_members(json));
  const auto value_of = [&](std::string_view key) {
    const auto found = std::ranges::find(members, key, &RawMember::key);
    return found == members.end() ? std::string_view{} : found->value;
  };
  const std::string type = unquoted(value_of("type")).value_or("");
  if (std::ranges::find(kTypes, type) == kTypes.end()) return std::nullopt;
  MediaPart part{.raw = std::move(raw), .url = {}};
  const std::string_view inner = value_of(type);
  if (type != "input_audio" && inner.starts_with('{')) {
    std::string place{inner};
    LLMD_TRY(const std::optional<std::string_view> url, raw_member(place, "url"));
    if (url) part.url = unquoted(*url).value_or("");
  }
  return part;
}

}  // namespace

Result<std::vector<MediaPart>> media_parts(std::string& body, std::size_t parts_max) {
  std::vector<MediaPart> parts;
  std::set<std::string, std::less<>> urls;
  LLMD_TRY(const std::optional<std::string_view> messages, raw_member(body, "messages"));
  LLMD_TRY(std::vector<std::string> list, objects_of(messages.value_or(std::string_view{})));
  for (std::string& message : list) {
    LLMD_TRY(const std::optional<std::string_view> content, raw_member(message, "content"));
    LLMD_TRY(std::vector<std::string> items, objects_of(content.value_or(std::string_view{})));
    for (std::string& item : items) {
      LLMD_TRY(std::optional<MediaPart> part, media_part(std::move(item)));
      if (!part || (!part->url.empty() && !urls.insert(part->url).second)) continue;
      if (parts.size() == parts_max)
        return fail(ErrorCode::kInvalidRequest, fmt::format("more than {} images, videos and sounds", parts_max));
      parts.push_back(*std::move(part));
    }
  }
  return parts;
}

}  // namespace llmd::openai
