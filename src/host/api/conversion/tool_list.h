#pragma once

#include <string>
#include <string_view>

#include "api/openai/field.h"

namespace llmd::api {

/// Where an API keeps the parts of a function that the model may call.
struct ToolShape {
  std::string_view type;   // of the tools that are functions; a missing type means it if `type_optional`
  const char* parameters;  // the schema's name
  bool type_optional = false;
  bool schema_required = false;
};

/// Internal: the tools as a chat request has them, an array or empty for none. Tools that are no functions (those that
/// the API's own servers run) are refused with kUnsupported.
[[nodiscard]] Result<std::string> convert_tools(std::string_view field, openai::Element value, const ToolShape& shape);

}  // namespace llmd::api
