#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::openai {

/// A change of one field of a JSON object.
struct BodyEdit {
  std::string_view path;      // "max_tokens"; one dot leads into an object: "sampling_params.max_tokens"
  std::string_view raw_json;  // the value as JSON text; empty: remove the field
};

/// The object with the edits applied; all else stays byte for byte. A field that is not there is added at the end; an
/// object that a dotted path leads into is made if it is missing. May grow the body's capacity. Errors: kInvalidJson,
/// kInvalidRequest.
[[nodiscard]] Result<std::string> apply_edits(std::string& body, std::span<const BodyEdit> edits);

/// The JSON text of one member of an object; no value if it has none of the name. The view is valid while `json` is
/// neither changed nor moved. May grow its capacity. Errors: kInvalidJson, kInvalidRequest (not an object).
[[nodiscard]] Result<std::optional<std::string_view>> raw_member(std::string& json, std::string_view name);

}  // namespace llmd::openai
