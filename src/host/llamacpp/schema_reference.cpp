#include "llamacpp/schema_reference.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/percent_decoding.h"

namespace llmd::llamacpp {
namespace {

using Json = nlohmann::ordered_json;

std::unexpected<Error> refuse(std::string_view reference, std::string_view why) {
  return fail(ErrorCode::kInvalidGrammar, fmt::format("cannot resolve $ref {}: {}", reference.substr(0, 100), why),
              "write a JSON pointer to a schema of the same document, as #/$defs/name");
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
