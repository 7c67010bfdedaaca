#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::anthropic {

/// {"type":"error","error":{"type","message","param","code"}}: the type that the API has for the status, and `param`
/// and `code` as OpenAI's shape has them, which clients of the API ignore.
[[nodiscard]] std::string error_json(const Error& error);
/// The same of an error in OpenAI's shape, for an answer with this status. No value if the body has Anthropic's shape.
[[nodiscard]] std::optional<std::string> shape_error(int status, std::string_view openai_json);

}  // namespace llmd::anthropic
