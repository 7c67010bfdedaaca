#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::explain {

/// The answer of /explanations/{id} as text for a person. Error kProtocol if it is not such an answer.
[[nodiscard]] Result<std::string> report(std::string_view json);

/// The same of /explanations/{id}?why_not=ENDPOINT. Error kNotFound if no endpoint, or several, are meant.
[[nodiscard]] Result<std::string> report_why_not(std::string_view json);

}  // namespace llmd::explain
