#include "apps/epp/refusal.h"

#include <fmt/format.h>

namespace llmd::epp {
namespace {

std::string_view code_of(int status) noexcept {
  switch (status) {
    case 400:
    case 408:
    case 413:
    case 431: return "BadRequest";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "NotFound";
    case 412: return "PreconditionFailed";
    case 429: return "ResourceExhausted";
    case 503: return "ServiceUnavailable";
    default: return "Internal";
  }
}

}  // namespace

std::string Refusal::body() const { return fmt::format("inference error: {} - {}", code, message); }

Refusal make_refusal(int status, std::string message) {
  return {.code = code_of(status), .status = status, .message = std::move(message)};
}

Refusal refusal_of(const Error& error) { return make_refusal(http_status(error.code), error.what); }

}  // namespace llmd::epp
