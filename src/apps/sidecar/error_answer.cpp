#include "apps/sidecar/error_answer.h"

#include <fmt/format.h>

#include "api/openai/json_writer.h"

namespace llmd::sidecar {
namespace {

std::string_view type_of(int status) {
  switch (status) {
    case 400: return "BadRequestError";
    case 403: return "Forbidden";
    case 413: return "RequestEntityTooLarge";
    case 502: return "BadGateway";
    case 503: return "ServiceUnavailable";
    case 504: return "GatewayTimeout";
    default: return status < 500 ? "BadRequestError" : "InternalServerError";
  }
}

}  // namespace

net::Response error_answer(int status, std::string_view message) {
  std::string text;
  openai::append_json_string(text, message);
  net::Response answer{.status = status,
                       .headers = {},
                       .body = fmt::format(R"({{"object":"error","message":{},"type":"{}","param":"","code":{}}})",
                                           text, type_of(status), status)};
  answer.headers.add("Content-Type", "application/json");
  return answer;
}

}  // namespace llmd::sidecar
