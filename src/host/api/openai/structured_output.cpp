#include "api/openai/structured_output.h"

#include <fmt/format.h>

#include <string>

#include "api/openai/limits.h"

namespace llmd::openai {
namespace {

constexpr std::string_view kAnyObject = "{}";

/// A GBNF literal of the text: quotes, backslashes and control characters escaped.
void append_gbnf_literal(std::string& out, std::string_view text) {
  out += '"';
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += byte;
    } else if (value < 0x20) {
      out += fmt::format("\\x{:02x}", value);
    } else {
      out += byte;
    }
  }
  out += '"';
}

Result<OutputConstraint> read_schema(std::string_view field, Element value) {
  LLMD_TRY(const Object schema, read_object(field, value));
  static_cast<void>(schema);
  return OutputConstraint{.json_schema = to_json(value)};
}

}  // namespace

Result<OutputConstraint> read_response_format(std::string_view field, Element value) {
  LLMD_TRY(const Object format, read_object(field, value));
  const std::string type_field = fmt::format("{}.type", field);
  constexpr std::string_view kTypes = "\"text\", \"json_object\" or \"json_schema\"";
  Element type_value;
  if (format.at_key("type").get(type_value) != simdjson::SUCCESS) return bad_field(type_field, "missing", kTypes);
  std::string_view type;
  if (type_value.get(type) != simdjson::SUCCESS) return bad_field(type_field, describe(type_value), kTypes);
  if (type == "text") return OutputConstraint{};
  if (type == "json_object") return OutputConstraint{.json_schema = std::string{kAnyObject}};
  if (type != "json_schema") return bad_field(type_field, quote(type), kTypes);

  const std::string schema_field = fmt::format("{}.json_schema", field);
  Element wrapper_value;
  if (format.at_key("json_schema").get(wrapper_value) != simdjson::SUCCESS) {
    return bad_field(schema_field, "missing", "an object with name and schema");
  }
  LLMD_TRY(const Object wrapper, read_object(schema_field, wrapper_value));
  Element name;
  if (wrapper.at_key("name").get(name) == simdjson::SUCCESS) {
    LLMD_TRY(const std::string_view text, read_string(schema_field + ".name", name, kNameBytesMax));
    static_cast<void>(text);
  }
  Element schema;
  if (wrapper.at_key("schema").get(schema) != simdjson::SUCCESS) {
    return bad_field(schema_field + ".schema", "missing", "a JSON schema");
  }
  return read_schema(schema_field + ".schema", schema);
}

Result<OutputConstraint> read_guided_json(std::string_view field, Element value) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return read_schema(field, value);
  // A schema given as JSON text. It is compiled by the engine, which refuses what is no schema.
  return OutputConstraint{.json_schema = std::string{text}};
}

Result<OutputConstraint> read_guided_grammar(std::string_view field, Element value) {
  LLMD_TRY(const std::string_view grammar, read_string(field, value, kBodyBytesMax));
  if (grammar.empty()) return bad_field(field, "empty", "a grammar in GBNF");
  if (grammar.contains('\0')) return bad_field(field, "text with a zero byte", "a grammar in GBNF");
  return OutputConstraint{.grammar = std::string{grammar}};
}

Result<OutputConstraint> read_guided_choice(std::string_view field, Element value) {
  LLMD_TRY(const Array choices, read_array(field, value));
  std::string grammar = "root ::= ";
  std::size_t count = 0;
  for (const Element choice : choices) {
    if (++count > kChoiceStringsMax)
      return bad_field(field, "longer", fmt::format("at most {} strings", kChoiceStringsMax));
    LLMD_TRY(const std::string_view text, read_string(fmt::format("{}[{}]", field, count - 1), choice, kBodyBytesMax));
    if (text.empty()) return bad_field(fmt::format("{}[{}]", field, count - 1), "empty", "a string with text");
    if (text.contains('\0'))  // ends a grammar's text
      return bad_field(fmt::format("{}[{}]", field, count - 1), "text with a zero byte", "a string without one");
    if (count > 1) grammar += " | ";
    append_gbnf_literal(grammar, text);
  }
  if (count == 0) return bad_field(field, "empty", "at least one string");
  return OutputConstraint{.grammar = std::move(grammar)};
}

Result<OutputConstraint> read_structured_outputs(std::string_view field, Element value) {
  LLMD_TRY(const Object object, read_object(field, value));
  OutputConstraint constraint;
  std::size_t given = 0;
  for (const auto entry : object) {
    if (entry.value.is_null()) continue;
    const std::string path = fmt::format("{}.{}", field, quote(entry.key).substr(1, entry.key.size()));
    Result<OutputConstraint> read = OutputConstraint{};
    if (entry.key == "json") {
      read = read_guided_json(path, entry.value);
    } else if (entry.key == "grammar") {
      read = read_guided_grammar(path, entry.value);
    } else if (entry.key == "choice") {
      read = read_guided_choice(path, entry.value);
    } else if (entry.key == "json_object") {
      LLMD_TRY(const bool wanted, read_bool(path, entry.value));
      if (wanted) read->json_schema = kAnyObject;
    } else if (entry.key == "regex" || entry.key == "structural_tag") {
      return unsupported_field(path, fmt::format("{} is not supported", path),
                               "give a json schema, a grammar or a choice");
    } else {
      continue;
    }
    if (!read) return read;
    if (read->empty()) continue;
    constraint = *std::move(read);
    ++given;
  }
  if (given > 1) return bad_field(field, "more than one constraint", "one of json, grammar, choice and json_object");
  return constraint;
}

}  // namespace llmd::openai
