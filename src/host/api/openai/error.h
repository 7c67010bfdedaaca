#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace llmd::openai {

/// An error as a client sees it. The caller sets Content-Type: application/json and, if given, Retry-After.
struct ErrorAnswer {
  int status = 500;
  std::string json;  // {"error":{"message","type","param","code"}}
  std::optional<std::uint32_t> retry_after_s;
};

/// OpenAI's shape: `type` by the status's kind (invalid_request_error, rate_limit_error, server_error), `code` our
/// stable name. What an operator alone should read (paths, internals: codes of 300 and above) is replaced by the code's
/// name.
[[nodiscard]] ErrorAnswer render_error(const Error& error);

/// The "error" object alone, for an SSE event: {"error":{...}}.
[[nodiscard]] std::string error_json(const Error& error);
/// The same with the type of another status than the code's own.
[[nodiscard]] std::string error_json(const Error& error, int status);

}  // namespace llmd::openai
