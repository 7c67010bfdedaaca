#include "llamacpp/schema_reference.h"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

std::unexpected<Error> refuse(std::string_view reference, std::string_view why) {
  return fail(ErrorCode::kInvalidGrammar, fmt::format("cannot resolve $ref {}: {}", reference.substr(0, 100), why),
              "write a JSON pointer to a schema of the same document, as #/$defs/name");
}

std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    const bool encoded =
        text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2;
    plain += encoded ? static_cast<char>(value) : text[i];
    if (encoded) i += 2;
  }
  return plain;
}

}  // namespace

Result<const Json*> resolve_reference(const Json& root, const Json& reference) {
  if (!reference.is_string())
    return fail(ErrorCode::kInvalidGrammar, "$ref must be a string", "write a JSON pointer, as #/$defs/name");
  const auto& text = reference.get_ref<const std::string&>();
  if (!text.starts_with('#')) return refuse(text, "only references into the same document are supported");
  try {
    const Json::json_pointer pointer{percent_decoded(std::string_view{text}.substr(1))};
    if (!root.contains(pointer)) return refuse(text, "nothing is there");
    return &root.at(pointer);
  } catch (const Json::exception&) {
    return refuse(text, "it is no JSON pointer");
  }
}

}  // namespace llmd::llamacpp
