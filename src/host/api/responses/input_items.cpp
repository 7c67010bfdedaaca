#include "api/responses/input_items.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "api/openai/limits.h"

namespace llmd::responses {
namespace {

using openai::Array;
using openai::bad_field;
using openai::Element;
using openai::Object;
using openai::quote;

Result<std::string_view> text_member(const std::string& field, Object object, const char* name, std::size_t bytes_max) {
  const std::string at = fmt::format("{}.{}", field, name);
  Element value;
  if (object.at_key(name).get(value) != simdjson::SUCCESS) return bad_field(at, "missing", "a string");
  return openai::read_string(at, value, bytes_max);
}

/// The type of an item or part; what is `fallback` need not say so.
Result<std::string_view> type_of(const std::string& field, Object object, std::string_view fallback) {
  Element value;
  if (object.at_key("type").get(value) != simdjson::SUCCESS || value.is_null()) {
    if (!fallback.empty()) return fallback;
    return bad_field(field + ".type", "missing", "a string");
  }
  return openai::read_string(field + ".type", value, openai::kNameBytesMax);
}

/// "system" and "developer" are one to templates.
std::string_view chat_role(std::string_view role) {
  constexpr std::array<std::string_view, 3> kRoles{"user", "assistant", "system"};
  for (const std::string_view known : kRoles) {
    if (role == known) return known;
  }
  return role == "developer" ? "system" : std::string_view{};
}

bool is_text_part(std::string_view type) {
  return type == "input_text" || type == "output_text" || type == "text" || type == "summary_text" ||
         type == "reasoning_text";
}

Result<void> add_image(const std::string& field, Object part, std::string_view role, const ItemOptions& options,
                       api::ChatMessageList& out) {
  if (options.text_only) {
    return openai::unsupported_field(field + ".type",
                                     fmt::format("{}.type is \"input_image\"; this server takes text only", field),
                                     "send parts of type input_text");
  }
  LLMD_TRY(const std::string_view url, text_member(field, part, "image_url", openai::kBodyBytesMax));
  out.add_image(role, url);
  return {};
}

Result<void> add_part(const std::string& field, Element value, std::string_view role, const ItemOptions& options,
                      api::ChatMessageList& out) {
  LLMD_TRY(const Object part, openai::read_object(field, value));
  LLMD_TRY(const std::string_view type, type_of(field, part, {}));
  if (is_text_part(type)) {
    LLMD_TRY(const std::string_view text, text_member(field, part, "text", openai::kBodyBytesMax));
    out.add_text(role, text);
    return {};
  }
  if (type == "refusal") {
    LLMD_TRY(const std::string_view text, text_member(field, part, "refusal", openai::kBodyBytesMax));
    out.add_text(role, text);
    return {};
  }
  if (type == "input_image") return add_image(field, part, role, options, out);
  return openai::unsupported_field(field + ".type",
                                   fmt::format("{}.type is {}, which is not taken here", field, quote(type)),
                                   "send parts of type input_text, output_text or input_image");
}

Result<void> add_message(const std::string& field, Object item, const ItemOptions& options, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view given, text_member(field, item, "role", openai::kNameBytesMax));
  const std::string_view role = chat_role(given);
  if (role.empty()) return bad_field(field + ".role", quote(given), "user, assistant, system or developer");
  const std::string content_field = field + ".content";
  Element content;
  if (item.at_key("content").get(content) != simdjson::SUCCESS)
    return bad_field(content_field, "missing", "a string or an array of parts");
  // What an assistant thought and what it then said are one message of a chat.
  if (role != "assistant" || out.size() == 0) out.end_message();
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) {
    out.add_text(role, text);
    return {};
  }
  Array parts;
  if (content.get(parts) != simdjson::SUCCESS)
    return bad_field(content_field, openai::describe(content), "a string or an array of parts");
  std::size_t index = 0;
  for (const Element part : parts) {
    LLMD_TRY_VOID(add_part(fmt::format("{}[{}]", content_field, index++), part, role, options, out));
  }
  return {};
}

Result<void> add_call(const std::string& field, Object item, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view id, text_member(field, item, "call_id", openai::kNameBytesMax));
  LLMD_TRY(const std::string_view name, text_member(field, item, "name", openai::kNameBytesMax));
  LLMD_TRY(const std::string_view arguments, text_member(field, item, "arguments", openai::kBodyBytesMax));
  out.add_tool_call(id, name, arguments);
  return {};
}

/// The texts of a list of parts, joined.
Result<std::string> joined_text(const std::string& field, Element value) {
  LLMD_TRY(const Array parts, openai::read_array(field, value));
  std::string out;
  std::size_t index = 0;
  for (const Element entry : parts) {
    const std::string at = fmt::format("{}[{}]", field, index++);
    LLMD_TRY(const Object part, openai::read_object(at, entry));
    LLMD_TRY(const std::string_view type, type_of(at, part, {}));
    if (!is_text_part(type)) {
      return openai::unsupported_field(
          at + ".type", fmt::format("{}.type is {}; only text is taken here", at, quote(type)), "send text");
    }
    LLMD_TRY(const std::string_view text, text_member(at, part, "text", openai::kBodyBytesMax));
    if (!out.empty()) out += '\n';
    out += text;
  }
  return out;
}

Result<void> add_call_output(const std::string& field, Object item, api::ChatMessageList& out) {
  LLMD_TRY(const std::string_view id, text_member(field, item, "call_id", openai::kNameBytesMax));
  Element output;
  const std::string output_field = field + ".output";
  if (item.at_key("output").get(output) != simdjson::SUCCESS)
    return bad_field(output_field, "missing", "a string or an array of text parts");
  std::string_view text;
  if (output.get(text) == simdjson::SUCCESS) {
    out.add_tool_result(id, text);
    return {};
  }
  LLMD_TRY(const std::string joined, joined_text(output_field, output));
  out.add_tool_result(id, joined);
  return {};
}

/// What the model thought, if it was told in clear text.
Result<void> add_reasoning(const std::string& field, Object item, api::ChatMessageList& out) {
  for (const char* name : {"content", "summary"}) {
    Element value;
    if (item.at_key(name).get(value) != simdjson::SUCCESS || value.is_null()) continue;
    LLMD_TRY(const std::string text, joined_text(fmt::format("{}.{}", field, name), value));
    if (text.empty()) continue;
    out.add_reasoning(text);
    return {};
  }
  return {};
}

}  // namespace

Result<void> convert_item(const std::string& field, Element value, const ItemOptions& options,
                          api::ChatMessageList& out) {
  LLMD_TRY(const Object item, openai::read_object(field, value));
  LLMD_TRY(const std::string_view type, type_of(field, item, "message"));
  if (type == "message") return add_message(field, item, options, out);
  if (type == "function_call") return add_call(field, item, out);
  if (type == "function_call_output") return add_call_output(field, item, out);
  if (type == "reasoning") return add_reasoning(field, item, out);
  if (type == "item_reference") {
    return bad_field(field + ".type", quote(type), "the item itself: nothing is kept between requests");
  }
  return openai::unsupported_field(field + ".type",
                                   fmt::format("{}.type is {}, which is not taken here", field, quote(type)),
                                   "send items of type message, function_call, function_call_output or reasoning");
}

}  // namespace llmd::responses
