#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "base/error.h"

namespace llmd::llamacpp {

/// A schema for the values that fit both `a` and `b`; nothing if there are none. Properties that both have become an
/// `allOf` of the two, which is left to the caller. As clients mean it, an object takes the keys of both though each
/// alone may be closed. Pre: neither holds $ref, allOf, anyOf or oneOf beside its other keywords, and exclusive bounds
/// are numbers. Error kInvalidGrammar: two patterns, or a type that is none.
[[nodiscard]] Result<std::optional<nlohmann::ordered_json>> conjunction_of(const nlohmann::ordered_json& a,
                                                                           const nlohmann::ordered_json& b);

}  // namespace llmd::llamacpp
