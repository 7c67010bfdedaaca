#pragma once

#include <string>
#include <utility>

#include "base/error.h"

namespace llmd::llamacpp {

/// kInvalidGrammar with where to read what a schema may hold.
[[nodiscard]] inline std::unexpected<Error> refuse_schema(std::string what) {
  return fail(ErrorCode::kInvalidGrammar, std::move(what), "docs/structured-output.md says what a schema may hold");
}

}  // namespace llmd::llamacpp
