#include "api/openai/plain_chat.h"

#include "api/openai/field.h"

namespace llmd::openai {
namespace {

void append_content(Element content, std::string& out) {
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) {
    out += text;
    return;
  }
  Array parts;
  if (content.get(parts) != simdjson::SUCCESS) return;
  for (const Element part : parts) {
    if (part.at_key("text").get(text) == simdjson::SUCCESS) out += text;
  }
}

}  // namespace

Result<std::string> plain_chat(std::string_view messages_json) {
  simdjson::dom::parser parser;
  Array messages;
  if (parser.parse(messages_json.data(), messages_json.size()).get(messages) != simdjson::SUCCESS)
    return fail(ErrorCode::kInvalidJson, "messages is no JSON array");
  std::string out;
  for (const Element message : messages) {
    std::string_view role;
    if (message.at_key("role").get(role) == simdjson::SUCCESS) out += role;
    out += '\n';
    Element field;
    if (message.at_key("content").get(field) == simdjson::SUCCESS) append_content(field, out);
    if (message.at_key("tool_calls").get(field) == simdjson::SUCCESS) out += to_json(field);
    out += '\n';
  }
  return out;
}

}  // namespace llmd::openai
