#pragma once

#include <string>
#include <string_view>

namespace llmd::api {

/// Why a text is no JSON, in the words of Go's encoding/json, which clients of llm-d get to see and its tests compare:
/// "invalid character 'o' in literal null (expecting 'u')". Empty if Go would take the text. At most one character of
/// the text is told. For the path of errors: about 200 MB/s.
[[nodiscard]] std::string json_fault(std::string_view text);

}  // namespace llmd::api
