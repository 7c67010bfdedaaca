#pragma once

#include <string>

#include "base/error.h"

namespace llmd::llamacpp {

/// A JSON schema, written so that llama.cpp's converter keeps what it says (docs/structured-output.md). Left to itself
/// the converter takes two definitions for one if their names differ in punctuation only, makes an empty object of an
/// allOf of strings, drops what stands beside anyOf or $ref, wraps bounds beyond 64 bits, and answers nothing where
/// nothing fits. Here every $ref names a definition of its own, allOf and what stands beside a choice is worked out,
/// bounds are brought in order, patterns are rewritten (schema_pattern.h), and the rest is left as it is. Error
/// kInvalidGrammar: no JSON or no schema, beyond the limits of input_limits.h, or nothing fits. Pure.
[[nodiscard]] Result<std::string> lower_schema(const std::string& json_schema);

/// The same for the parameters of each tool in OpenAI's array; definitions of different tools get different names.
[[nodiscard]] Result<std::string> lower_tools(const std::string& tools_json);

}  // namespace llmd::llamacpp
