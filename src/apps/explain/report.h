#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmd::explain {

/// The answer of /explanations/{id} as text for a person. Error kProtocol if it is not such an answer.
[[nodiscard]] Result<std::string> report(std::string_view json);

}  // namespace llmd::explain
