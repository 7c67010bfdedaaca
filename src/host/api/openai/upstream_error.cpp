#include "api/openai/upstream_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/openai/error.h"
#include "api/openai/field.h"

namespace llmd::openai {
namespace {

constexpr std::size_t kMessageBytesMax = 1'000;
constexpr std::size_t kPlainTextBytesMax = 300;

std::string_view text_of(Object object, const char* name) {
  std::string_view text;
  return object[name].get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

bool has_shape(Object object) {
  Object error;
  std::string_view message;
  return object["error"].get_object().get(error) == simdjson::SUCCESS &&
         error["message"].get_string().get(message) == simdjson::SUCCESS;
}

/// FastAPI's list of what is wrong with a request: the first entry's field and message.
std::string first_detail(Object object) {
  Array list;
  Object entry;
  if (object["detail"].get_array().get(list) != simdjson::SUCCESS) return {};
  if (list.at(0).get_object().get(entry) != simdjson::SUCCESS) return {};
  Array path;
  std::string where;
  if (entry["loc"].get_array().get(path) == simdjson::SUCCESS) {
    for (const Element step : path) {
      std::string_view name;
      if (step.get_string().get(name) != simdjson::SUCCESS || name == "body") continue;
      where += fmt::format("{}{}", where.empty() ? "" : ".", name);
    }
  }
  const std::string_view message = text_of(entry, "msg");
  return where.empty() ? std::string{message} : fmt::format("{}: {}", where, message);
}

std::string message_in(Object object) {
  constexpr std::array kNames{"message", "error", "detail", "error_message"};
  for (const char* name : kNames) {
    if (const std::string_view text = text_of(object, name); !text.empty()) return std::string{text};
  }
  return first_detail(object);
}

/// A short text that is no page and no JSON, made one line.
std::string plain_text(std::string_view body) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(body.find_first_not_of(kSpace), body.size());
  body.remove_prefix(begin);
  body = body.substr(0, body.find_last_not_of(kSpace) + 1);
  if (body.size() > kPlainTextBytesMax || body.starts_with('<') || body.starts_with('{') || body.starts_with('[')) {
    return {};
  }
  std::string line{body};
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return line;
}

}  // namespace

ErrorCode nearest_code(int status) noexcept {
  switch (status) {
    case 401:
    case 403: return ErrorCode::kInvalidApiKey;
    case 404: return ErrorCode::kNotFound;
    case 405: return ErrorCode::kMethodNotAllowed;
    case 408: return ErrorCode::kRequestTimeout;
    case 413: return ErrorCode::kBodyTooLarge;
    case 415: return ErrorCode::kUnsupportedMediaType;
    case 429: return ErrorCode::kOverloaded;
    case 504: return ErrorCode::kUpstreamTimeout;
    default: return status >= 500 ? ErrorCode::kUpstreamFailed : ErrorCode::kInvalidRequest;
  }
}

std::optional<std::string> shape_upstream_error(int status, std::string_view body) {
  Error error{.code = nearest_code(status), .what = {}};
  if (const auto object = parse_body(body)) {
    if (has_shape(*object)) return std::nullopt;
    error.what = message_in(*object).substr(0, kMessageBytesMax);
    error.param = text_of(*object, "param");
  } else {
    error.what = plain_text(body);
  }
  if (error.what.empty()) error.what = fmt::format("the endpoint answered {} and did not say why", status);
  return error_json(error, status);
}

std::string upstream_error_param(std::string_view body) {
  const auto object = parse_body(body);
  Object error;
  if (!object || (*object)["error"].get_object().get(error) != simdjson::SUCCESS) return {};
  return std::string{text_of(error, "param")};
}

bool refuses_request(int status, std::string_view body, const pd::FieldEdits& changed) {
  if (status != 400 && status != 413 && status != 422) return false;
  return std::ranges::find(changed, upstream_error_param(body), &pd::FieldEdit::path) == changed.end();
}

}  // namespace llmd::openai
