#include "api/openai/chat_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/openai/json_writer.h"
#include "api/openai/limits.h"

namespace llmd::openai {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};

Result<std::string> read_role(std::string_view message_field, Object message) {
  constexpr std::string_view kExpected = "system, developer, user, assistant or tool";
  const std::string field = fmt::format("{}.role", message_field);
  Element value;
  if (message.at_key("role").get(value) != simdjson::SUCCESS) return bad_field(field, "missing", kExpected);
  std::string_view role;
  if (value.get(role) != simdjson::SUCCESS) return bad_field(field, describe(value), kExpected);
  if (role == "function") {
    return unsupported_field(field, fmt::format("{} is \"function\", which is not supported", field),
                             "send the result as role tool with the call's tool_call_id");
  }
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) return bad_field(field, quote(role), kExpected);
  return std::string{role};
}

/// Without it nobody knows which call the result is of.
Result<void> check_tool_call_id(std::string_view message_field, Object message) {
  Element id;
  if (message.at_key("tool_call_id").get(id) == simdjson::SUCCESS && !id.is_null()) return {};
  return bad_field(fmt::format("{}.tool_call_id", message_field), "missing", "the id of the call that this answers");
}

/// One part of a content array. Only text is taken.
Result<std::string_view> read_part(const std::string& field, Element value) {
  LLMD_TRY(const Object part, read_object(field, value));
  std::string_view type;
  if (part.at_key("type").get(type) != simdjson::SUCCESS)
    return bad_field(field + ".type", "missing or no string", "\"text\"");
  if (type != "text") {
    return unsupported_field(field + ".type",
                             fmt::format("{}.type is {}; this server takes text only", field, quote(type)),
                             "send content parts of type text");
  }
  Element text;
  if (part.at_key("text").get(text) != simdjson::SUCCESS) return bad_field(field + ".text", "missing", "a string");
  return read_string(field + ".text", text, kBodyBytesMax);
}

/// Writes the content; a list of text parts stays a list, so that a template that tells them apart can.
Result<void> write_content(const std::string& field, Element value, ChatMessage& message, JsonWriter& json) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    json.string(text);
    message.text = std::string{text};
    return {};
  }
  Array parts;
  if (value.get(parts) != simdjson::SUCCESS)
    return bad_field(field, describe(value), "a string or an array of text parts");
  json.begin_array();
  std::size_t index = 0;
  for (const Element part : parts) {
    LLMD_TRY(text, read_part(fmt::format("{}[{}]", field, index++), part));
    json.begin_object().key("type").string("text").key("text").string(text).end_object();
  }
  json.end_array();
  if (index == 1) message.text = std::string{text};
  return {};
}

Result<void> write_tool_call(const std::string& field, Element value, JsonWriter& json) {
  LLMD_TRY(const Object call, read_object(field, value));
  Element function_value;
  if (call.at_key("function").get(function_value) != simdjson::SUCCESS) {
    return bad_field(field + ".function", "missing", "an object with name and arguments");
  }
  LLMD_TRY(const Object function, read_object(field + ".function", function_value));
  std::string_view name;
  std::string_view arguments = "{}";
  std::string_view id;
  if (function.at_key("name").get(name) != simdjson::SUCCESS) {
    return bad_field(field + ".function.name", "missing or no string", "the function's name");
  }
  Element arguments_value;
  if (function.at_key("arguments").get(arguments_value) == simdjson::SUCCESS) {
    LLMD_TRY(arguments, read_string(field + ".function.arguments", arguments_value, kBodyBytesMax));
  }
  Element id_value;
  if (call.at_key("id").get(id_value) == simdjson::SUCCESS) {
    LLMD_TRY(id, read_string(field + ".id", id_value, kNameBytesMax));
  }
  json.begin_object().key("type").string("function");
  json.key("function").begin_object().key("name").string(name).key("arguments").string(arguments).end_object();
  json.key("id").string(id).end_object();
  return {};
}

Result<void> write_tool_calls(const std::string& field, Element value, JsonWriter& json) {
  LLMD_TRY(const Array calls, read_array(field, value));
  json.begin_array();
  std::size_t index = 0;
  for (const Element call : calls) LLMD_TRY_VOID(write_tool_call(fmt::format("{}[{}]", field, index++), call, json));
  json.end_array();
  return {};
}

/// The fields beside role and content.
Result<void> write_extras(std::string_view message_field, Object message, JsonWriter& json) {
  for (const auto entry : message) {
    if (entry.value.is_null()) continue;
    const std::string field = fmt::format("{}.{}", message_field, entry.key);
    if (entry.key == "tool_calls") {
      json.key("tool_calls");
      LLMD_TRY_VOID(write_tool_calls(field, entry.value, json));
    } else if (entry.key == "name" || entry.key == "tool_call_id") {
      LLMD_TRY(const std::string_view text, read_string(field, entry.value, kNameBytesMax));
      json.key(entry.key).string(text);
    } else if (entry.key == "function_call") {
      return unsupported_field(field, fmt::format("{} is not supported", field), "send the call in tool_calls");
    } else if (entry.key == "audio") {
      return unsupported_field(field, fmt::format("{} is not supported; this server takes text only", field));
    } else if (entry.key == "reasoning_content") {
      LLMD_TRY(const std::string_view text, read_string(field, entry.value, kBodyBytesMax));
      json.key(entry.key).string(text);
    }
  }
  return {};
}

}  // namespace

Result<ChatMessage> read_chat_message(std::string_view field, Element value) {
  LLMD_TRY(const Object object, read_object(field, value));
  ChatMessage message;
  LLMD_TRY(message.role, read_role(field, object));
  if (message.role == "tool") LLMD_TRY_VOID(check_tool_call_id(field, object));
  // Templates know "system" only; "developer" is OpenAI's newer name for it.
  const std::string_view written_role = message.role == "developer" ? "system" : std::string_view{message.role};
  JsonWriter json{message.json};
  json.begin_object().key("role").string(written_role);
  Element content;
  const bool has_content = object.at_key("content").get(content) == simdjson::SUCCESS && !content.is_null();
  Element tool_calls;
  const bool has_calls = object.at_key("tool_calls").get(tool_calls) == simdjson::SUCCESS && !tool_calls.is_null();
  if (!has_content && !(has_calls && message.role == "assistant")) {
    return bad_field(fmt::format("{}.content", field), "missing", "a string or an array of text parts");
  }
  json.key("content");
  if (has_content) {
    LLMD_TRY_VOID(write_content(fmt::format("{}.content", field), content, message, json));
  } else {
    json.string("");
  }
  LLMD_TRY_VOID(write_extras(field, object, json));
  json.end_object();
  return message;
}

}  // namespace llmd::openai
