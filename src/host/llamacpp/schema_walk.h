#pragma once

#include <string_view>

#include "base/error.h"

namespace llmd::llamacpp {

/// Refuses schemas on which llama.cpp's converter overflows the stack or works for minutes: long names, a $ref that
/// leads back to itself, lists of types that multiply, more optional properties than a grammar can order. `json` is a
/// schema, or an array of tools with one each; what is no JSON passes. Error kInvalidGrammar. Pre: its depth is
/// bounded.
[[nodiscard]] Result<void> check_schema_walk(std::string_view json);

}  // namespace llmd::llamacpp
