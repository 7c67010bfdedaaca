#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::llamacpp {

/// A JSON schema's `pattern`, written so that llama.cpp's converter keeps it. Left to itself the converter takes any
/// string for what it does not know (\d, an anchor inside), and lets `.` and [^...] match the quote that ends the
/// string. The result matches the same strings, or fewer: none with a character that JSON escapes. Error
/// kInvalidGrammar: not anchored with ^ and $, look-around, back-references, \b, negated escapes, or a part that only
/// an escaped character could match. Pure; O(length).
[[nodiscard]] Result<std::string> pattern_for_grammar(std::string_view pattern);

}  // namespace llmd::llamacpp
