#pragma once

#include <simdjson.h>

#include <string_view>

/// Helpers around simdjson's reader on demand. Internal to api.
namespace llmd::api {

namespace od = simdjson::ondemand;

/// Without white space at the end, which a raw token may have.
inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

/// False also for a value that is none: whatever comes next meets the error. (Comparing the result itself would throw.)
inline bool has_type(od::value& value, od::json_type wanted) {
  od::json_type type{};
  return value.type().get(type) == simdjson::SUCCESS && type == wanted;
}
inline bool is_number(od::value& value) { return has_type(value, od::json_type::number); }

/// A string as it stands in the JSON, without its quotes and not unescaped.
inline std::string_view string_text(od::value& value) {
  const std::string_view token = trimmed(value.raw_json_token());
  return token.size() >= 2 ? token.substr(1, token.size() - 2) : token;
}

inline simdjson::simdjson_result<std::string_view> raw_array(od::value& value) {
  od::array array;
  if (const auto error = value.get_array().get(array)) return error;
  return array.raw_json();
}

}  // namespace llmd::api
