#include "api/anthropic/error.h"

#include "api/openai/error.h"
#include "api/openai/field.h"
#include "api/openai/json_writer.h"

namespace llmd::anthropic {
namespace {

std::string_view type_of(int status) noexcept {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    case 504: return "timeout_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

std::string error_json(const Error& error) {
  const int status = http_status(error.code);
  return shape_error(status, openai::error_json(error, status)).value_or("{}");
}

std::optional<std::string> shape_error(int status, std::string_view openai_json) {
  const auto object = openai::parse_body(openai_json);
  openai::Object error;
  std::string_view type;
  if (!object || (*object)["error"].get_object().get(error) != simdjson::SUCCESS) return std::nullopt;
  if ((*object)["type"].get_string().get(type) == simdjson::SUCCESS && type == "error") return std::nullopt;
  std::string out;
  openai::JsonWriter json{out};
  json.begin_object().key("type").string("error").key("error").begin_object().key("type").string(type_of(status));
  for (const char* member : {"message", "param", "code"}) {
    openai::Element value;
    json.key(member);
    if (error[member].get(value) == simdjson::SUCCESS) {
      json.raw(openai::to_json(value));
    } else {
      json.null();
    }
  }
  json.end_object().end_object();
  return out;
}

}  // namespace llmd::anthropic
