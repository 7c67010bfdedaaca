#include "api/openai/body_edits.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

namespace od = simdjson::ondemand;

using pd::FieldEdit;
/// An edit, seen from the object that it leads into.
struct Inner {
  std::string_view path;
  const FieldEdit* edit = nullptr;
  bool applied = false;  // where a field of the name stands
};
using Inners = std::vector<Inner>;

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

simdjson::error_code read_members(od::document& document, std::vector<RawMember>& members) {
  od::object object;
  if (const auto error = document.get_object().get(object)) return error;
  for (auto item : object) {
    if (members.size() == kMembersMax) return simdjson::CAPACITY;
    od::field field;
    if (const auto error = std::move(item).get(field)) return error;
    const char* begin = field.key().raw() - 1;
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) return error;
    RawMember member{.key = std::string{key}, .value = {}, .whole = {}};
    if (const auto error = raw_value(field.value(), member.value)) return error;
    member.whole = {begin, static_cast<std::size_t>(member.value.data() + member.value.size() - begin)};
    members.push_back(std::move(member));
  }
  return simdjson::SUCCESS;
}

Inners inside(const Inners& edits, std::string_view object) {
  Inners found;
  for (const Inner& edit : edits) {
    if (edit.path.size() > object.size() && edit.path.starts_with(object) && edit.path[object.size()] == '.')
      found.push_back({.path = edit.path.substr(object.size() + 1), .edit = edit.edit});
  }
  return found;
}

/// The new object: the old text, but for what members are changed, left out or added.
struct Output {
  std::string text;
  bool has_members = false;

  /// `between`: what stands before the member in the old text, with its comma.
  void begin(std::string_view between) {
    if (std::exchange(has_members, true)) text += between;
  }
  void add(std::string_view name, std::string_view raw_json) {
    begin(",");
    append_json_string(text, name);
    text += ':';
    text += raw_json;
  }
};

Result<std::string> apply(std::string& body, Inners edits);

/// A member of the object with what leads to or into it applied; `between` stands before it.
Result<void> append_edited(Output& out, const RawMember& member, std::string_view between, Inners& edits) {
  const std::string_view name = member.whole.substr(0, member.whole.size() - member.value.size());
  const auto exact = std::ranges::find(edits, std::string_view{member.key}, &Inner::path);
  if (exact != edits.end() && exact->edit->when != FieldEdit::When::kIfAbsent) {
    if (exact->edit->raw_json.empty() || std::exchange(exact->applied, true)) return {};
    out.begin(between);
    out.text += name;
    out.text += exact->edit->raw_json;
    return {};
  }
  out.begin(between);
  Inners nested = inside(edits, member.key);
  if (nested.empty()) {
    out.text += member.whole;
    return {};
  }
  std::string value{member.value};
  LLMD_TRY(const std::string changed, apply(value, std::move(nested)));
  out.text += name;
  out.text += changed;
  return {};
}

/// What the edits add to an object that has none of it.
Result<void> append_new(Output& out, const Inners& edits, const std::vector<RawMember>& members) {
  std::vector<std::string_view> made;
  for (const Inner& item : edits) {
    const std::size_t dot = item.path.find('.');
    const std::string_view top = item.path.substr(0, dot);
    if (item.edit->raw_json.empty() || item.edit->when == FieldEdit::When::kIfPresent) continue;
    if (std::ranges::find(members, top, &RawMember::key) != members.end()) continue;
    if (dot == std::string_view::npos) {
      out.add(top, item.edit->raw_json);
      continue;
    }
    // The first edit of a missing object makes it, with all that lead into it.
    if (std::ranges::find(made, top) != made.end()) continue;
    made.push_back(top);
    std::string empty = "{}";
    LLMD_TRY(const std::string object, apply(empty, inside(edits, top)));
    out.add(top, object);
  }
  return {};
}

Result<std::string> apply(std::string& body, Inners edits) {
  LLMD_TRY(const std::vector<RawMember> members, raw_members(body));
  const std::string_view text = body;
  const auto begin_of = [&](const RawMember& member) {
    return static_cast<std::size_t>(member.whole.data() - text.data());
  };
  std::size_t end = members.empty() ? text.find('{') + 1 : begin_of(members.front());
  Output out;
  out.text.reserve(body.size() + 256);
  out.text += text.substr(0, end);
  for (const RawMember& member : members) {
    const std::size_t begin = begin_of(member);
    LLMD_TRY_VOID(append_edited(out, member, text.substr(end, begin - end), edits));
    end = begin + member.whole.size();
  }
  LLMD_TRY_VOID(append_new(out, edits, members));
  out.text += text.substr(end);
  return std::move(out.text);
}

}  // namespace

Result<std::vector<RawMember>> raw_members(std::string& json) {
  json.reserve(json.size() + simdjson::SIMDJSON_PADDING);
  od::parser parser;
  od::document document;
  std::vector<RawMember> members;
  const simdjson::padded_string_view padded{json.data(), json.size(), json.capacity()};
  auto error = parser.iterate(padded).get(document);
  if (!error) error = read_members(document, members);
  if (error == simdjson::INCORRECT_TYPE) return fail(ErrorCode::kInvalidRequest, "the JSON is not an object");
  if (error == simdjson::CAPACITY)
    return fail(ErrorCode::kInvalidRequest, fmt::format("the JSON object has more than {} fields", kMembersMax));
  if (error) return fail(ErrorCode::kInvalidJson, fmt::format("not valid JSON: {}", simdjson::error_message(error)));
  return members;
}

Result<std::string> apply_edits(std::string& body, const pd::FieldEdits& edits) {
  Inners inners;
  inners.reserve(edits.size());
  for (const FieldEdit& edit : edits) inners.push_back({.path = edit.path, .edit = &edit});
  return apply(body, std::move(inners));
}

Result<std::string> edited(std::string_view body, const pd::FieldEdits& edits) {
  std::string copy;
  copy.reserve(body.size() + simdjson::SIMDJSON_PADDING);
  copy += body;
  return apply_edits(copy, edits);
}

Result<std::optional<std::string_view>> raw_member(std::string& json, std::string_view name) {
  LLMD_TRY(const std::vector<RawMember> members, raw_members(json));
  std::optional<std::string_view> found;
  for (const RawMember& member : members) {
    if (member.key == name) found = member.value;
  }
  return found;
}

}  // namespace llmd::openai
