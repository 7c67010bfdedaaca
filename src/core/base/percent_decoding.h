#pragma once

#include <string>
#include <string_view>

namespace llmd {

/// A piece of a path or of a URI's fragment with its %XX escapes undone (RFC 3986, 2.1). What is no escape stays as it
/// is.
[[nodiscard]] std::string percent_decoded(std::string_view text);

}  // namespace llmd
