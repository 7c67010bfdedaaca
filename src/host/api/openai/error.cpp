#include "api/openai/error.h"

#include <fmt/format.h>

#include <string_view>

#include "api/openai/json_writer.h"

namespace llmd::openai {
namespace {

constexpr std::uint32_t kRetryAfterSeconds = 1;

std::string_view type_of(int status) noexcept {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string message_of(const Error& error) {
  if (static_cast<int>(error.code) >= 300) {
    return fmt::format("the server could not answer ({}); its log has the details", error_code_name(error.code));
  }
  return error.hint.empty() ? error.what : fmt::format("{} ({})", error.what, error.hint);
}

}  // namespace

std::string error_json(const Error& error) { return error_json(error, http_status(error.code)); }

std::string error_json(const Error& error, int status) {
  std::string out;
  JsonWriter json{out};
  json.begin_object().key("error").begin_object();
  json.key("message").string(message_of(error));
  json.key("type").string(type_of(status));
  json.key("param");
  if (error.param.empty()) {
    json.null();
  } else {
    json.string(error.param);
  }
  json.key("code").string(error_code_name(error.code));
  json.end_object().end_object();
  return out;
}

ErrorAnswer render_error(const Error& error) {
  const int status = http_status(error.code);
  ErrorAnswer answer{.status = status, .json = error_json(error)};
  if (status == 429 || status == 503) answer.retry_after_s = kRetryAfterSeconds;
  return answer;
}

}  // namespace llmd::openai
