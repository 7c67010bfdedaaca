#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace llmd::llamacpp {

/// What a schema's $ref points to: a JSON pointer into `root`, after '#', perhaps percent-encoded (RFC 6901). Never
/// null. Error kInvalidGrammar: no string, another document, or nothing there.
[[nodiscard]] Result<const nlohmann::ordered_json*> resolve_reference(const nlohmann::ordered_json& root,
                                                                      const nlohmann::ordered_json& reference);

}  // namespace llmd::llamacpp
