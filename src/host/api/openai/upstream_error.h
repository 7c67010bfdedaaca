#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "pd/field_edit.h"

namespace llmd::openai {

/// The code of ours that says best what a status of another server means.
[[nodiscard]] ErrorCode nearest_code(int status) noexcept;

/// The body of another server's answer with an error status, in the shape that OpenAI's clients read: what it says of
/// the cause as far as that is text for people (`message`, `error` or `detail` of a JSON object, or a short plain
/// text), with type and code by the status. No value if the body has the shape already, and should be passed on as it
/// is.
[[nodiscard]] std::optional<std::string> shape_upstream_error(int status, std::string_view body);

/// The request field that an error of that shape names, empty if it names none.
[[nodiscard]] std::string upstream_error_param(std::string_view body);

/// Whether the first leg's endpoint says that the client's request is wrong, so that no other would take it either. Not
/// if it is about a field that the leg itself changed.
[[nodiscard]] bool refuses_request(int status, std::string_view body, const pd::FieldEdits& changed);

}  // namespace llmd::openai
