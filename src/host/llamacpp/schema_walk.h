#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace llmd::llamacpp {

/// Refuses schemas on which llama.cpp's converter overflows the stack or works for minutes: long names, a $ref that
/// leads back to itself, lists of types that multiply, more optional properties than a grammar can order. Error
/// kInvalidGrammar. Pre: the depth of `schema` is bounded.
[[nodiscard]] Result<void> check_schema_walk(const nlohmann::ordered_json& schema);

}  // namespace llmd::llamacpp
