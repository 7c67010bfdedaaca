#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pd/field_edit.h"

namespace llmd::openai {

/// The object with the edits applied, each where the field stands, or at the end if it is new; all else stays byte for
/// byte, numbers as they are written. Of a field that stands there twice the first is kept. An object that a dotted
/// path leads into is made if it is missing. May grow the body's capacity. Errors: kInvalidJson, kInvalidRequest.
[[nodiscard]] Result<std::string> apply_edits(std::string& body, const pd::FieldEdits& edits);
/// The same of a body that stays as it is.
[[nodiscard]] Result<std::string> edited(std::string_view body, const pd::FieldEdits& edits);

inline constexpr std::size_t kMembersMax = 65'536;  // of one object that is edited or looked into

struct RawMember {
  std::string key;              // unescaped
  std::string_view value;       // JSON text
  std::string_view whole = {};  // from the key's quote to the end of the value
};
/// The members of an object, in their order. The views are valid while `json` is neither changed nor moved. May grow
/// its capacity. Errors: kInvalidJson, kInvalidRequest (not an object, or more than kMembersMax).
[[nodiscard]] Result<std::vector<RawMember>> raw_members(std::string& json);
/// One of them; no value if there is none of the name, the last if there are several.
[[nodiscard]] Result<std::optional<std::string_view>> raw_member(std::string& json, std::string_view name);

}  // namespace llmd::openai
