#include "api/openai/body_edits.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <vector>

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

namespace od = simdjson::ondemand;

struct Member {
  std::string key;         // unescaped
  std::string_view value;  // JSON text
  std::string_view whole;  // from the key's quote to the end of the value
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::string_view{" \n\r\t"}.find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  return text;
}

simdjson::error_code raw_value(od::value value, std::string_view& raw) {
  od::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  if (type == od::json_type::array) {
    od::array array;
    if (const auto error = value.get_array().get(array)) return error;
    return array.raw_json().get(raw);
  }
  if (type == od::json_type::object) {
    od::object object;
    if (const auto error = value.get_object().get(object)) return error;
    return object.raw_json().get(raw);
  }
  raw = trimmed(value.raw_json_token());
  return simdjson::SUCCESS;
}

simdjson::error_code read_members(od::document& document, std::vector<Member>& members) {
  od::object object;
  if (const auto error = document.get_object().get(object)) return error;
  for (auto item : object) {
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    const char* begin = field.key().raw() - 1;
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return error;
    Member member{.key = std::string{key}, .value = {}, .whole = {}};
    if (const auto error = raw_value(field.value(), member.value)) return error;
    member.whole = {begin, static_cast<std::size_t>(member.value.data() + member.value.size() - begin)};
    members.push_back(std::move(member));
  }
  return simdjson::SUCCESS;
}

Result<std::vector<Member>> members_of(std::string& json) {
  json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  od::parser parser;
  od::document document;
  std::vector<Member> members;
  const simdjson::padded_string_view padded{json.data(), json.size(), json.capacity()};
  auto error = parser.iterate(padded).get(document);
  if (!error) error = read_members(document, members);
  if (error == simdjson::INCORRECT_TYPE) return fail(ErrorCode::kInvalidRequest, "the JSON is not an object");
  if (error) return fail(ErrorCode::kInvalidJson, fmt::format("not valid JSON: {}", simdjson::error_message(error)));
  return members;
}

/// The edits that lead into `object`, without its name.
std::vector<BodyEdit> edits_inside(std::span<const BodyEdit> edits, std::string_view object) {
  std::vector<BodyEdit> inside;
  for (const BodyEdit& edit : edits) {
    if (edit.path.size() > object.size() && edit.path.starts_with(object) && edit.path[object.size()] == '.') {
      inside.push_back({.path = edit.path.substr(object.size() + 1), .raw_json = edit.raw_json});
    }
  }
  return inside;
}

void append_member(std::string& out, std::string_view text) {
  if (out.size() > 1) out += ',';
  out += text;
}

}  // namespace

Result<std::string> apply_edits(std::string& body, std::span<const BodyEdit> edits) {
  LLMD_TRY(const std::vector<Member> members, members_of(body));
  std::string out = "{";
  out.reserve(body.size() + 256);
  for (const Member& member : members) {
    const auto exact =
        std::find_if(edits.begin(), edits.end(), [&](const BodyEdit& edit) { return edit.path == member.key; });
    if (exact != edits.end()) continue;
    const std::vector<BodyEdit> inside = edits_inside(edits, member.key);
    std::string nested{member.value};
    if (inside.empty()) {
      append_member(out, member.whole);
      continue;
    }
    LLMD_TRY(const std::string edited, apply_edits(nested, inside));
    append_member(out, member.whole.substr(0, member.whole.size() - member.value.size()));
    out += edited;
  }
  for (const BodyEdit& edit : edits) {
    const std::size_t dot = edit.path.find('.');
    const std::string_view top = edit.path.substr(0, dot);
    const bool there =
        std::any_of(members.begin(), members.end(), [&](const Member& member) { return member.key == top; });
    if (edit.raw_json.empty() || (dot != std::string_view::npos && there)) continue;
    std::string text;
    append_json_string(text, top);
    text += ':';
    if (dot == std::string_view::npos) {
      append_member(out, text.append(edit.raw_json));
      continue;
    }
    // The first edit of a missing object makes it, with all that lead into it.
    const auto first = std::find_if(edits.begin(), edits.end(), [&](const BodyEdit& other) {
      return other.path.starts_with(top) && other.path.substr(top.size()).starts_with('.') && !other.raw_json.empty();
    });
    if (&*first != &edit) continue;
    std::string empty = "{}";
    LLMD_TRY(const std::string made, apply_edits(empty, edits_inside(edits, top)));
    append_member(out, text.append(made));
  }
  out += '}';
  return out;
}

Result<std::optional<std::string_view>> raw_member(std::string& json, std::string_view name) {
  LLMD_TRY(const std::vector<Member> members, members_of(json));
  std::optional<std::string_view> found;
  for (const Member& member : members) {
    if (member.key == name) found = member.value;
  }
  return found;
}

}  // namespace llmd::openai
