#include "api/conversion/tool_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/openai/json_writer.h"
#include "api/openai/limits.h"

namespace llmd::api {
namespace {

using openai::bad_field;
using openai::Element;
using openai::JsonWriter;
using openai::Object;

Result<void> check_type(const std::string& field, Object tool, const ToolShape& shape) {
  Element value;
  const bool given = tool.at_key("type").get(value) == simdjson::SUCCESS && !value.is_null();
  if (!given && shape.type_optional) return {};
  if (!given) return bad_field(field + ".type", "missing", openai::quote(shape.type));
  LLMD_TRY(const std::string_view type, openai::read_string(field + ".type", value, openai::kNameBytesMax));
  if (type == shape.type) return {};
  return openai::unsupported_field(
      field + ".type",
      fmt::format("{}.type is {}; this server runs no tools itself, it calls the client's", field, openai::quote(type)),
      fmt::format("send tools of type {}", shape.type));
}

Result<void> convert_tool(const std::string& field, Element value, const ToolShape& shape, JsonWriter& json) {
  LLMD_TRY(const Object tool, openai::read_object(field, value));
  LLMD_TRY_VOID(check_type(field, tool, shape));
  Element name_value;
  if (tool.at_key("name").get(name_value) != simdjson::SUCCESS)
    return bad_field(field + ".name", "missing", "the function's name");
  LLMD_TRY(const std::string_view name, openai::read_string(field + ".name", name_value, openai::kToolNameBytesMax));
  // As the chat request has it, so that its error would name a field that the client did not send.
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), allowed))
    return bad_field(field + ".name", openai::quote(name), "1 to 64 letters, digits, '_', '-' or '.'");
  json.begin_object().key("type").string("function").key("function").begin_object().key("name").string(name);
  Element text;
  if (tool.at_key("description").get(text) == simdjson::SUCCESS && !text.is_null()) {
    LLMD_TRY(const std::string_view description,
             openai::read_string(field + ".description", text, openai::kBodyBytesMax));
    json.key("description").string(description);
  }
  const std::string schema_field = fmt::format("{}.{}", field, shape.parameters);
  Element schema;
  if (tool.at_key(shape.parameters).get(schema) == simdjson::SUCCESS && !schema.is_null()) {
    LLMD_TRY(const Object checked, openai::read_object(schema_field, schema));
    static_cast<void>(checked);
    json.key("parameters").raw(openai::to_json(schema));
  } else if (shape.schema_required) {
    return bad_field(schema_field, "missing", "a JSON schema");
  }
  json.end_object().end_object();
  return {};
}

}  // namespace

Result<std::string> convert_tools(std::string_view field, Element value, const ToolShape& shape) {
  LLMD_TRY(const openai::Array list, openai::read_array(field, value));
  const std::size_t count = list.size();
  if (count == 0) return std::string{};
  if (count > openai::kToolsMax)
    return bad_field(field, fmt::format("an array of {}", count), fmt::format("at most {} tools", openai::kToolsMax));
  std::string out;
  JsonWriter json{out};
  json.begin_array();
  std::size_t index = 0;
  for (const Element entry : list) {
    LLMD_TRY_VOID(convert_tool(fmt::format("{}[{}]", field, index++), entry, shape, json));
  }
  json.end_array();
  return out;
}

}  // namespace llmd::api
